#!/bin/sh
# Everything to be learned in one call of about ten minutes on a machine with an NVIDIA GPU.
#
#   tests/bench/gpu.sh OUT [PACKAGES]
#
# OUT: a folder for the results. PACKAGES: a folder of .deb files (libcjson, libpng, libjpeg, cmocka and their -dev
# parts) for a machine that has no network; they are unpacked beside the build, nothing is installed. Needs nvcc, a C
# compiler, meson and ninja; python3 with torch and diffusers for the peer, whose part is left out without them.
# Each part writes its own file and the next goes on if it fails; OUT/summary.txt has one line for each.
# SECONDS_LEFT (default 570) bounds the whole.
set -u
[ $# -ge 1 ] || { echo "usage: $0 OUT [PACKAGES]" >&2; exit 2; }
mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
root=$(cd "$(dirname "$0")/../.." && pwd) && cd "$root" || exit 1
build=$out/build
deadline=$(($(date +%s) + ${SECONDS_LEFT:-570}))

if [ $# -ge 2 ]; then
    prefix=$out/packages
    mkdir -p "$prefix"
    for package in "$2"/*.deb; do dpkg -x "$package" "$prefix" || exit 1; done
    libraries=$prefix/usr/lib/$(uname -m)-linux-gnu
    export PKG_CONFIG_SYSROOT_DIR="$prefix" PKG_CONFIG_PATH="$libraries/pkgconfig:$prefix/usr/share/pkgconfig"
    export CPATH="$prefix/usr/include" LIBRARY_PATH="$libraries" LD_LIBRARY_PATH="$libraries:${LD_LIBRARY_PATH:-}"
fi

# part NAME LIMIT COMMAND...: runs it within LIMIT seconds and within what is left, output to OUT/NAME.txt.
part() {
    name=$1 limit=$2
    shift 2
    left=$((deadline - $(date +%s)))
    [ "$left" -lt "$limit" ] && limit=$left
    if [ "$limit" -lt 5 ]; then
        echo "$name: no time left" | tee -a "$out/summary.txt"
        return 1
    fi
    began=$(date +%s)
    timeout "$limit" "$@" > "$out/$name.txt" 2> "$out/$name.err"
    code=$?
    echo "$name: exit $code after $(($(date +%s) - began)) s" | tee -a "$out/summary.txt"
    return $code
}

: > "$out/summary.txt"
{
    git rev-parse HEAD 2> /dev/null || echo "no git"
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
    nvcc --version | tail -2
} > "$out/machine.txt" 2>&1

# Code for this device only: compiling for all takes four times as long.
capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -1 | tr -d .)
[ "$capability" = 90 ] && capability=90a
part setup 60 meson setup "$build" -Dstudio=disabled -Donednn=disabled -Dcuda=enabled \
    "-Dgpu_architectures=$capability" || { cat "$out/setup.txt" "$out/setup.err"; exit 1; }
part build 240 ninja -C "$build" alignprop tests/cuda/test_device_kernels || { tail "$out/build.txt"; exit 1; }
program=$build/alignprop

part doctor 20 "$program" doctor --json
part kernels 120 "$build/tests/cuda/test_device_kernels"
if [ -d presets/models/emoji/unet ]; then
    # The same settings on both sides: batch 16, 20 steps, the gradient through the last 5.
    set -- --set batch=16 --set sampler.steps=20 --set backprop.method=last-k --set backprop.k=5 --set sample.every=0
    for precision in bf16 fp32; do
        part "tune-$precision" 60 "$program" tune emoji-closer-to-prompt --device cuda --json --steps 20 \
            --run "$out/run-$precision" --set precision=$precision "$@"
    done
    part tune-again 60 "$program" tune emoji-closer-to-prompt --device cuda --json --steps 20 \
        --run "$out/run-again" --set precision=bf16 "$@"
    # The same seed: the same rewards and gradients to the last digit.
    part same-bits 20 sh -c "for run in bf16 again; do
        grep -o '\"\\(total\|grad_norm\|adapter_norm\\)\":[^,}]*' '$out/tune-'\$run.txt > '$out/'\$run.digits; done
        test -s '$out/bf16.digits' && cmp '$out/bf16.digits' '$out/again.digits'"
    part bench 60 "$program" bench emoji-closer-to-prompt --device cuda --json --set precision=bf16 "$@"
    if python3 -c 'import torch, diffusers' 2> /dev/null; then
        part peer 120 python3 tests/bench/peer.py --model presets/models/emoji --device cuda --dtype bf16 --batch 16 \
            --steps 20 --keep 5 --reward clip --repeat 10 --best
    else
        echo "peer: left out, python3 has no torch or diffusers" | tee -a "$out/summary.txt"
    fi
fi
if python3 -c 'import torch, diffusers' 2> /dev/null; then
    for batch in 1 4; do
        part "peer-sd15-batch-$batch" 120 python3 tests/bench/peer.py --model sd15-random --device cuda --dtype bf16 \
            --size 512 --steps 50 --keep 8 --batch $batch --guidance 7.5 --reward aesthetic --checkpoint --repeat 3
    done
fi
if command -v compute-sanitizer > /dev/null; then
    for tool in memcheck racecheck; do
        part "sanitizer-$tool" 120 compute-sanitizer --tool $tool --error-exitcode 9 \
            "$build/tests/cuda/test_device_kernels"
    done
fi
rm -rf "$build" "$out/packages"
cat "$out/summary.txt"
