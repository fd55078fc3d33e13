#!/bin/sh
# Builds here what a call on a machine with a GPU needs, which compiles nothing: one file, carried.tar.gz, in an ignored
# folder.
#
#   tests/bench/carry.sh [FOLDER]        (default: build-carried)
#
# It holds the program and the device tests for sm_90a, with PTX for later devices, without studio and oneDNN; the shared
# libraries that they link, found beside them ($ORIGIN); and the Python packages of the peer that such a machine may lack.
# The environment may say:
#   BUILD=FOLDER      where it builds (default: FOLDER-objects), kept from call to call
#   PYTHON=python3    whose pip downloads the packages
#   PACKAGES="..."    which (default below); empty: none, and the peer is left out where the machine lacks them
#   EMULATED=FOLDER   a build folder without CUDA: its programs for the emulated device, to rehearse with
set -eu
PACKAGES=${PACKAGES-diffusers==0.42.1 importlib_metadata==10.2.0 zipp==4.1.2}
most_bytes=20000000
root=$(cd "$(dirname "$0")/../.." && pwd)
mkdir -p "${1:-$root/build-carried}"
folder=$(cd "${1:-$root/build-carried}" && pwd)
build=${BUILD:-$folder-objects}
packages=$folder/packages
staging=$(mktemp -d)
trap 'rm -rf "$staging"' EXIT

build_for_device() {
    [ -e "$build/build.ninja" ] || meson setup "$build" "$root" -Dstudio=disabled -Donednn=disabled -Dcuda=enabled \
        -Dgpu_architectures=90a -Dtests=enabled '-Dc_link_args=-Wl,--disable-new-dtags,-rpath,$ORIGIN'
    ninja -C "$build" alignprop tests/cuda/test_device_kernels tests/cuda/check_device_families
    take "$build/alignprop" alignprop
    take "$build/tests/cuda/test_device_kernels" test_kernels
    take "$build/tests/cuda/check_device_families" check_families
}

take_emulated() {
    for target in tests/cuda/idle_device_alignprop tests/cuda/test_unwatched_kernels tests/cuda/check_emulated_families; do
        [ -x "$EMULATED/$target" ] || ninja -C "$EMULATED" "$target"
    done
    take "$EMULATED/tests/cuda/idle_device_alignprop" alignprop
    take "$EMULATED/tests/cuda/test_unwatched_kernels" test_kernels
    take "$EMULATED/tests/cuda/check_emulated_families" check_families
}

take() { # path, name: with the libraries that are not of the C library itself
    strip -o "$staging/$2" "$1"
    ldd "$1" | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p' |
        grep -v '/\(libc\|libm\|libdl\|librt\|libpthread\|ld-linux[^/]*\)\.so' | while read -r library; do
        cp -L "$library" "$staging/"
    done
}

# What a program needs at the least of the C library, by the symbols' versions.
oldest_c_library() {
    objdump -T "$staging"/* 2> /dev/null | sed -n 's/.*GLIBC_\([0-9.]*\).*/\1/p' | sort -uV | tail -n 1
}

add_packages() {
    mkdir -p "$packages" "$staging/python"
    # shellcheck disable=SC2086 # packages are words
    "${PYTHON:-python3}" -m pip download -q --no-deps --only-binary=:all: --exists-action i -d "$packages" $PACKAGES
    for wheel in "$packages"/*.whl; do "${PYTHON:-python3}" -m zipfile -e "$wheel" "$staging/python"; done
}

if [ -n "${EMULATED:-}" ]; then take_emulated; else build_for_device; fi
[ -z "$PACKAGES" ] || add_packages
(cd "$root" && git describe --always --dirty --abbrev=40 --exclude '*' 2> /dev/null || echo unknown) > "$staging/commit.txt"
c_library=$(oldest_c_library)
tar -C "$staging" -czf "$folder/carried.new" .
mv "$folder/carried.new" "$folder/carried.tar.gz"
rm -rf "$packages"
bytes=$(wc -c < "$folder/carried.tar.gz")
echo "$folder/carried.tar.gz: $bytes bytes, commit $(cat "$staging/commit.txt"), needs glibc $c_library or later"
if [ "$bytes" -gt $most_bytes ]; then
    echo "carry.sh: more than the $most_bytes bytes that may travel" >&2
    exit 1
fi
