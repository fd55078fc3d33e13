#!/bin/sh
# The suite under the address (leaks too) and undefined-behaviour sanitizers: builds build-sanitize/, then runs the suites
# named, or all but `style`. Half an hour on two cores; in the suite itself the readers of untrusted input run under them
# (tests/fuzz).
#
#   sh tests/sanitize.sh [SUITE...]     unit golden e2e fuzz tui
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
[ $# -gt 0 ] || set -- unit golden e2e fuzz tui
if [ ! -f "$root/build-sanitize/build.ninja" ]; then
    (cd "$root" && meson setup build-sanitize -Dsanitize=true -Dwerror=true -Dtests=enabled -Dcuda=disabled) >&2
fi
ninja -C "$root/build-sanitize" >&2
cd "$root/build-sanitize"
ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
    meson test --no-rebuild --timeout-multiplier 20 --print-errorlogs $(printf -- '--suite %s ' "$@")
