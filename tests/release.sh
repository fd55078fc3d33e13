#!/bin/sh
# .ci/release in a repository of its own, made from the files of this tree: what it refuses, the tag, and an archive that
# holds every file and can be configured.
#
#   sh tests/release.sh          as in the suite
#   BUILD=yes sh tests/release.sh   also builds the unpacked archive by its ./studio and asks the program for its version
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
skip() {
    echo "skipped: $*"
    exit 77
}
command -v git >/dev/null || skip "needs git"
git -C "$root" rev-parse --is-inside-work-tree >/dev/null 2>&1 || skip "there is no history"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null
export GIT_AUTHOR_NAME=release GIT_AUTHOR_EMAIL=release@localhost GIT_COMMITTER_NAME=release GIT_COMMITTER_EMAIL=release@localhost
tree=$place/tree
mkdir "$tree" "$place/out"
(cd "$root" && git ls-files -z | xargs -0 cp -P --parents -t "$tree")
cd "$tree"
git init -q
git add -A -f
git commit -q -m 'All there is'
version=$(sed -n "s/^  version: '\([^']*\)',$/\1/p" meson.build)
archive=alignprop-$version.tar.gz

fail() {
    echo "$*"
    exit 1
}

refused() {
    expected=$1
    if .ci/release "$place/out" >"$place/words" 2>&1; then fail "released, although: $expected"; fi
    grep -q -- "$expected" "$place/words" || fail "expected \"$expected\", found: $(cat "$place/words")"
    [ -z "$(git tag)" ] || fail "a tag was made, although: $expected"
    [ -z "$(ls "$place/out")" ] || fail "files were written, although: $expected"
}

# The tree as it would be released: with nothing under Unreleased, and a section for its version.
sed -n '/^## \[Unreleased\]/q;p' CHANGELOG.md >"$place/changelog"
printf '## [Unreleased]\n\n' >>"$place/changelog"
commit_changelog() {
    cat "$place/changelog" - >CHANGELOG.md
    git commit -q --allow-empty -a -m 'Say what changed'
}

commit_changelog </dev/null
refused "has no heading \"## \[$version\]"
printf '## [%s] - 2026-12-01\n' "$version" | commit_changelog
refused "says nothing of $version"
printf '### Added\n- More.\n\n## [%s] - 2026-12-01\n- Something.\n' "$version" | commit_changelog
refused "entries under Unreleased"
printf '## [%s] - 2026-12-01\n### Added\n- Something.\n\n## [0.0.1] - 2026-11-01\n- Less.\n' "$version" | commit_changelog
echo '/* more */' >>engine/base/version.h
refused "not committed"
git checkout -q engine/base/version.h
echo more >left-over
refused "not committed"
rm left-over

.ci/release "$place/out" >"$place/words" 2>&1 || fail "not released: $(cat "$place/words")"
git cat-file tag "v$version" | sed '1,/^$/d' >"$place/message"
printf 'AlignProp Studio %s\n\n### Added\n- Something.\n' "$version" | diff - "$place/message" || fail "the tag's message is another"
[ "$(git rev-parse "v$version^{commit}")" = "$(git rev-parse HEAD)" ] || fail "another commit is tagged"
if .ci/release "$place/out" >"$place/words" 2>&1; then fail "released twice"; fi
grep -q "the tag v$version already exists" "$place/words" || fail "expected to hear of the tag: $(cat "$place/words")"

cd "$place/out"
sha256sum -c --quiet "$archive.sha256" || fail "the archive is not what its checksum says"
tar -xf "$archive"
(cd "$tree" && git ls-files | sort) >"$place/tracked"
(cd "alignprop-$version" && find . -type f -o -type l | sed 's,^\./,,' | sort) | diff "$place/tracked" - ||
    fail "the archive holds other files than the tree"
[ -x "alignprop-$version/studio" ] || fail "studio is no program"
if [ "${BUILD-}" = yes ]; then
    [ "$("alignprop-$version/studio" --version)" = "alignprop $version" ] || fail "the archive's ./studio does not run"
else
    meson setup -Dtests=disabled build "alignprop-$version" >"$place/words" 2>&1 || fail "$(tail -n 15 "$place/words")"
    grep -q "ALIGNPROP_VERSION=.*$version" build/compile_commands.json || fail "the archive builds another version"
fi
