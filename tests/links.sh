#!/bin/sh
# Every link of a document to a file leads to one that is there, and to a heading where it names one.
set -u
cd "$(dirname "$0")/.." || exit 1
documents() {
    if [ -e .git ] && command -v git >/dev/null && git ls-files '*.md' 2>/dev/null | grep -q .; then
        git ls-files '*.md'
    else
        find . -name '*.md' -not -path './build*'
    fi
}

# The anchors of a document's headings: lower case, without punctuation, spaces as hyphens.
anchors() {
    sed -n 's/^#\{1,6\} //p' "$1" | tr 'A-Z' 'a-z' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'
}

wrong=$(documents | while read -r document; do
    sed '/^ *```/,/^ *```/d' "$document" | grep -o '](\([^)]*\))' | sed 's/^](//; s/)$//' | while read -r target; do
        case $target in http://* | https://*) continue ;; esac
        file=${target%%#*}
        place=$(dirname "$document")/$file
        [ -n "$file" ] || place=$document
        if [ ! -e "$place" ]; then
            echo "$document: there is no $target"
        elif [ "$target" != "$file" ] && ! anchors "$place" | grep -qxF -- "${target#*#}"; then
            echo "$document: no heading of $place is called ${target#*#}"
        fi
    done
done)
[ -z "$wrong" ] && exit 0
echo "$wrong"
exit 1
