#!/bin/sh
# The build can be configured where packages are missing: without those of the tests (a newcomer's first ./studio), and
# with nothing that is optional.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

configure() {
    name=$1
    shift
    meson setup "$@" "$place/$name" "$root" >"$place/words" 2>&1 || {
        echo "could not be configured with: $*"
        tail -n 15 "$place/words"
        exit 1
    }
}

configure without-tests -Dtests=disabled
configure bare -Dtests=disabled -Dstudio=disabled -Donednn=disabled -Dcuda=disabled
