#!/bin/sh
# The code's form and a second compiler's opinion. Exit status 77: the tool is missing, so the check is skipped.
#
#   tests/style.sh format BUILD         every file as clang-format writes it (14 to 21 agree on what is here)
#   tests/style.sh opening BUILD        every source file begins with a comment that says what it is
#   tests/style.sh warnings BUILD       clang with warnings as errors over every file of the build
#   tests/style.sh tidy BUILD           clang-tidy 14 over every C file of the build
set -u
check=$1
build=$2
cd "$(dirname "$0")/.." || exit 1

skip() {
    echo "skipped: $*"
    exit 77
}

sources() {
    if [ -e .git ] && command -v git >/dev/null && git ls-files '*.c' 2>/dev/null | grep -q .; then
        git ls-files '*.c' '*.h' '*.cu' '*.cpp'
    else
        find engine kernels tui tests -name '*.[ch]' -o -name '*.cu' -o -name '*.cpp'
    fi
}

# File and arguments of every C file that the build compiles, one a line.
compilations() {
    sed -n 's/^ *"command": "\(.*\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sed 's/\\"/"/g' | grep -v 'nvcc' |
        sed -n 's/^\([^ ]*ccache \)\{0,1\}[^ ]* \(.*\) -MD .* -c \([^ ]*\.c\)$/\2 \3/p' | sort -u -t ' ' -k 1
}

# Every C file that the build compiles, once; the emulation of CUDA compiles files that it writes itself.
compiled_files() {
    sed -n 's/^ *"file": "\(.*\.c\)",\{0,1\}$/\1/p' "$build/compile_commands.json" | sed 's,^\.\./,,' | sort -u |
        grep -E '^(engine|kernels|tui|tests)/'
}

case $check in
format)
    command -v clang-format >/dev/null || skip "needs clang-format"
    version=$(clang-format --version | sed -n 's/.*version \([0-9]*\).*/\1/p')
    [ "${version:-0}" -ge 14 ] || skip "needs clang-format 14 or later, found ${version:-none}"
    wrong=$(sources | xargs clang-format --dry-run -Werror 2>&1 | sed -n 's/^\([^ :]*\):[0-9]*:[0-9]*: error.*/\1/p' | sort -u)
    [ -z "$wrong" ] && exit 0
    echo "clang-format $version writes these in another way (run clang-format -i):"
    echo "$wrong"
    exit 1
    ;;
opening)
    mute=$(sources | grep -E '\.(c|cu|cpp)$' | while read -r file; do
        IFS= read -r line <"$file"
        case $line in '/* '*) ;; *) echo "$file" ;; esac
    done)
    [ -z "$mute" ] && exit 0
    echo "these begin without a comment that says what they are (in a line, what the file does or holds):"
    echo "$mute"
    exit 1
    ;;
warnings)
    command -v clang >/dev/null || skip "needs clang"
    cd "$build" || exit 1
    build=.
    failed=0
    compilations | sed 's/-fsanitize=[^ ]*//g; s/-Winvalid-pch//; s, -I/usr, -isystem /usr,g' >style-commands
    while read -r arguments; do
        eval "clang -fsyntax-only -Werror -Wno-unknown-warning-option -Wno-unknown-attributes -Wno-pass-failed $arguments" || failed=1
    done <style-commands
    rm -f style-commands
    exit $failed
    ;;
tidy)
    command -v clang-tidy >/dev/null || skip "clang-tidy is not installed"
    clang-tidy --version | grep -q 'version 14' || skip "clang-tidy is not version 14"
    # One file a process: version 14 takes every va_list of a second file for uninitialised.
    compiled_files | xargs -P "$(nproc)" -n 1 clang-tidy --quiet -p "$build" --extra-arg=-Wno-unknown-warning-option \
        --extra-arg=-include --extra-arg="$PWD/tests/analyser.h"
    ;;
*)
    echo "usage: tests/style.sh format|opening|warnings|tidy BUILD" >&2
    exit 2
    ;;
esac
