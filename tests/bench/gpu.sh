#!/bin/sh
# What is to be learned on a machine with an NVIDIA GPU, in parts that each fit a call of ten minutes.
#
#   tests/bench/gpu.sh OUT [PART...]
#
# OUT: a folder for what is worth taking home, three files: summary.txt with a line for each step as it ends, machine.txt,
# and results.tar.gz with every step's output, written anew after each part. All else (runs, the model, logs) is in WORK.
# A step that fails does not keep the next from running; the exit status says whether any failed. PARTS, in the order in
# which they are worth having (default: kernels emoji sanitizer, which fill the first call; then gradients repeat, then
# sd15 peer):
#   kernels    the kernel suite on the device against the double-precision backend: run this first
#   emoji      the default model: precisions agree, the same seed gives the same bits, recorded equals not recorded,
#              resume is exact, steps a second at batch 16 and K = 5 with previews, beside PyTorch; its time by class of
#              kernel against the device's limits
#   sanitizer  compute-sanitizer over the kernel suite
#   gradients  Stable Diffusion 1.5, random weights, 512x512, K = 8: cosine of bf16's adapter gradients to fp32's at
#              guidance 1 and 7.5
#   repeat     Stable Diffusion 1.5: the same seed gives the same bits, also with every block recomputed; resume is exact
#   sd15       Stable Diffusion 1.5: start to first step; seconds and memory of K = 8 at batch 1, 4 and 16, of K = 1 and
#              50 at batch 1, with little and with much memory; then `classes`
#   classes    Stable Diffusion 1.5, K = 8, batch 1 and 16: time by class of kernel against the device's limits, a table
#              each
#   products   Stable Diffusion 1.5, K = 1, batch 1 and 16: seconds a step with products by cuBLASLt and warpgroups, by
#              cuBLASLt and warps, and by warpgroups alone
#   peer       the same steps in PyTorch, eager and compiled, the faster one counts (long: name rows as peer:BATCH:K)
#
# Needs nvcc, a C compiler, meson and ninja; python3 with numpy for Stable Diffusion's weights, with torch and diffusers
# for the peer. Nothing is fetched from a network. The environment may say:
#   PACKAGES=FOLDER  for a machine without a network, 9 MB: .deb files (libcjson1, libpng16-16, libjpeg62-turbo, libcmocka0,
#                    their -dev parts, libjpeg-dev, zlib1g-dev) and .whl files (diffusers, importlib_metadata; torch and
#                    transformers have to be there); they are unpacked beside the build, nothing is installed
#   WORK=FOLDER      where it works (default: build/gpu-work), kept from call to call while the machine is
#   SECONDS_LEFT=570 bounds the whole call
#   COMMIT=HASH      what is measured, where the tree came without its history
#   PROGRAM=FILE     a program that is built already: nothing is built and the kernel suite is left out
#   DEVICE=cuda      where it computes
#   SD15=FOLDER      where stable-diffusion-v1-5 is or is made; SIZE=512 and STEPS=50 its pictures and denoising steps
set -u
[ $# -ge 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1" && home=$(cd "$1" && pwd) || exit 1
shift
[ $# -gt 0 ] || set -- kernels emoji sanitizer
root=$(cd "$(dirname "$0")/../.." && pwd) && cd "$root" || exit 1
build=${BUILD:-$root/build/gpu} # kept from call to call while the machine is
out=${WORK:-$root/build/gpu-work}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 1
device=${DEVICE:-cuda} size=${SIZE:-512} steps=${STEPS:-50} sd15=${SD15:-$out/models}
program=${PROGRAM:-$build/alignprop}
export ALIGNPROP_DATA="${ALIGNPROP_DATA:-$root}"
deadline=$(($(date +%s) + ${SECONDS_LEFT:-570}))
failures=0
: >> "$home/summary.txt"

if [ -n "${PACKAGES:-}" ]; then
    prefix=$build-packages
    mkdir -p "$prefix/python"
    for package in "$PACKAGES"/*.deb; do [ ! -e "$package" ] || dpkg -x "$package" "$prefix" || exit 1; done
    for wheel in "$PACKAGES"/*.whl; do [ ! -e "$wheel" ] || python3 -m zipfile -e "$wheel" "$prefix/python" || exit 1; done
    libraries=$prefix/usr/lib/$(uname -m)-linux-gnu
    export PKG_CONFIG_SYSROOT_DIR="$prefix" PKG_CONFIG_PATH="$libraries/pkgconfig:$prefix/usr/share/pkgconfig"
    export CPATH="$prefix/usr/include" LIBRARY_PATH="$libraries" LD_LIBRARY_PATH="$libraries:${LD_LIBRARY_PATH:-}"
    export PYTHONPATH="$prefix/python"
fi

tell() {
    echo "$*" | tee -a "$home/summary.txt"
}

# What the steps said so far, for home; written aside first, since a call may be cut off at any time.
pack_results() {
    (cd "$out" && find . -maxdepth 1 -type f ! -name '*.wanted' ! -name results.new | tar -czf results.new -T -) &&
        mv "$out/results.new" "$home/results.tar.gz"
}

# run NAME LIMIT COMMAND...: within LIMIT seconds and within what is left, output to OUT/NAME.txt and NAME.err.
run() {
    run_name=$1 run_limit=$2
    shift 2
    run_left=$((deadline - $(date +%s)))
    [ "$run_left" -lt "$run_limit" ] && run_limit=$run_left
    if [ "$run_limit" -lt 5 ]; then
        tell "$run_name: no time left"
        failures=$((failures + 1))
        return 1
    fi
    run_began=$(date +%s)
    timeout "$run_limit" "$@" > "$out/$run_name.txt" 2> "$out/$run_name.err"
    code=$?
    tell "$run_name: exit $code after $(($(date +%s) - run_began)) s"
    [ $code -eq 0 ] || { failures=$((failures + 1)); tell "$(tail -n 2 "$out/$run_name.err")"; }
    return $code
}

# The number of KEY in the last line of JSON of OUT/NAME.txt that has it.
number() {
    grep -o "\"$2\":[-+.0-9e]*" "$out/$1.txt" | tail -n 1 | cut -d: -f2
}

# watched NAME LIMIT COMMAND...: as run, and the most device memory in use meanwhile, polled, to NAME.memory (MiB).
watched() {
    memory=$out/$1.memory
    : > "$memory.wanted"
    (
        most=0
        while [ -e "$memory.wanted" ]; do
            used=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2> /dev/null | head -n 1)
            [ "${used:-0}" -gt "$most" ] && most=$used && echo "$most" > "$memory"
            sleep 0.2
        done
    ) &
    watcher=$!
    run "$@"
    watched_code=$?
    rm -f "$memory.wanted"
    wait "$watcher"
    return "$watched_code"
}

build_program() {
    [ -z "${PROGRAM:-}" ] || return 0
    [ -x "$program" ] && [ -x "$build/tests/cuda/test_device_kernels" ] && return 0
    # Code for this device only: compiling for all takes four times as long.
    capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
    [ "$capability" = 90 ] && capability=90a
    run setup 60 meson setup "$build" -Dstudio=disabled -Donednn=disabled -Dcuda=enabled \
        "-Dgpu_architectures=$capability" || { cat "$out/setup.txt"; pack_results; exit 1; }
    run build 300 ninja -C "$build" alignprop tests/cuda/test_device_kernels || { tail "$out/build.txt"; pack_results; exit 1; }
}

part_kernels() {
    [ -z "${PROGRAM:-}" ] || return 0
    run kernels 200 "$build/tests/cuda/test_device_kernels"
}

# tune NAME LIMIT STEPS SETTING...: a fresh run of the default model into OUT/run-NAME.
tune() {
    name=$1 limit=$2 count=$3
    shift 3
    for setting in "$@"; do set -- "$@" --set "$setting"; shift; done
    rm -rf "$out/run-$name"
    run "tune-$name" "$limit" "$program" tune "${EMOJI:-emoji-closer-to-prompt}" --device "$device" --json --quiet --steps "$count" \
        --run "$out/run-$name" "$@"
}

# The rewards and norms of a run to the last digit, as lines of text.
digits() {
    grep -o '"\(total\|grad_norm\|adapter_norm\)":[^,}]*' "$out/tune-$1.txt"
}

same_digits() { # what, run, other run
    digits "$2" > "$out/$2.digits"
    digits "$3" > "$out/$3.digits"
    if [ -s "$out/$2.digits" ] && cmp -s "$out/$2.digits" "$out/$3.digits"; then
        tell "$1: the same to the last digit"
    else
        tell "$1: DIFFERENT"
        failures=$((failures + 1))
    fi
}

same_state() { # what, run, other run, step
    file=checkpoints/$(printf 'step-%06d' "$4")/optimizer.safetensors
    if cmp -s "$out/run-$2/$file" "$out/run-$3/$file"; then
        tell "$1: the same bits"
    else
        tell "$1: DIFFERENT"
        failures=$((failures + 1))
    fi
}

part_emoji() {
    whole="batch=${EMOJI_BATCH:-16} sampler.steps=${EMOJI_STEPS:-20} backprop.method=last-k backprop.k=${EMOJI_K:-5} sample.every=0"
    # shellcheck disable=SC2086 # settings are words
    {
        tune bf16 60 6 precision=bf16 $whole
        tune again 60 6 precision=bf16 $whole
        same_digits "the same seed again" bf16 again
        same_state "the same seed again" bf16 again 6
        export ALIGNPROP_CUDA_GRAPHS=off
        tune direct 60 6 precision=bf16 $whole
        unset ALIGNPROP_CUDA_GRAPHS
        same_digits "recorded and one operation after the other" bf16 direct
        tune half 60 3 precision=bf16 $whole
        run resume 60 "$program" resume "$out/run-half" --device "$device" --json --quiet --steps 6
        same_state "3 steps and resumed to 6" bf16 half 6
        tune fp32 90 6 precision=fp32 $whole
        tell "first step's gradient norm: bf16 $(digits bf16 | grep grad_norm | head -n 1), fp32 $(digits fp32 |
            grep grad_norm | head -n 1)"
        for graphs in on off; do
            for setting in precision=bf16 $whole; do set -- "$@" --set "$setting"; done
            export ALIGNPROP_CUDA_GRAPHS=$graphs
            watched "bench-emoji-graphs-$graphs" 60 "$program" bench "${EMOJI:-emoji-closer-to-prompt}" --device "$device" \
                --json --steps "${EMOJI_TIMED:-100}" "$@"
            tell "  seconds a step, graphs $graphs: $(number "bench-emoji-graphs-$graphs" step)"
            set --
        done
        unset ALIGNPROP_CUDA_GRAPHS
        tune rate 60 "${EMOJI_TIMED:-100}" precision=bf16 $whole
        tell "  steps a second of a run with its previews, metrics and checkpoints: $(steps_per_second rate)"
        for setting in precision=bf16 $whole; do set -- "$@" --set "$setting"; done
        classes_row emoji 60 "${EMOJI:-emoji-closer-to-prompt}" "$@"
        set --
    }
    peer_row emoji 120 --model presets/models/emoji --batch 16 --steps 20 --keep 5 --guidance 5 --reward clip --repeat 20
}

# From the times of a run's metrics: the mean over its second half.
steps_per_second() {
    grep -o '"seconds":[.0-9e-]*' "$out/tune-$1.txt" | cut -d: -f2 |
        awk '{ s[NR] = $1 } END { for (i = int(NR / 2) + 1; i <= NR; i++) t += s[i]; if (t > 0) print (NR - int(NR / 2)) / t }'
}

# peer_row NAME LIMIT ARGUMENT...
peer_row() {
    if ! python3 -c 'import torch, diffusers' 2> /dev/null; then
        tell "peer-$1: left out, python3 has no torch or diffusers"
        return 0
    fi
    name=$1 limit=$2
    shift 2
    run "peer-$name" "$limit" python3 tests/bench/peer.py --device "$device" --dtype bf16 --best "$@" || return 1
    tell "  seconds a step in PyTorch: $(number "peer-$name" seconds_median), bytes: $(number "peer-$name" peak_bytes)"
}

# classes_row NAME LIMIT PRESET ARGUMENT...: a step's time by class of kernel, as a table in OUT/classes-NAME.txt. The
# first of the steps loads code and is not in it.
classes_row() {
    name=classes-$1 limit=$2
    shift 2
    run "$name" "$limit" "$program" bench "$@" --device "$device" --steps 3 --kernels || return 1
    tell "  $(tail -n 1 "$out/$name.txt")"
}

make_sd15() {
    [ -e "$sd15/stable-diffusion-v1-5/rewards/aesthetic" ] || run weights 200 python3 tests/bench/make_sd15.py "$sd15"
}

# sd15_settings BATCH K GUIDANCE KEEP_STEPS: as arguments
sd15_settings() {
    for setting in accumulate=1 backprop.method=last-k sample.every=0 "sampler.width=$size" "sampler.height=$size" \
        "sampler.steps=$steps" "batch=$1" "backprop.k=$2" "sampler.guidance=$3" "memory.keep_steps=$4"; do
        printf '%s\n' --set "$setting"
    done
}

# tune_sd15 NAME LIMIT COUNT PRECISION GUIDANCE [SETTING...]: COUNT optimiser steps with K = 8 and their checkpoints, into
# OUT/run-NAME
tune_sd15() {
    name=$1 limit=$2 count=$3 precision=$4 guidance=$5
    shift 5
    for setting in "$@"; do set -- "$@" --set "$setting"; shift; done
    rm -rf "$out/run-$name"
    # shellcheck disable=SC2046 # arguments are words
    run "$name" "$limit" "$program" tune sd15-alignprop-paper --device "$device" --model-path "$sd15" --json --quiet \
        --steps "$count" --run "$out/run-$name" $(sd15_settings 1 "${K:-8}" "$guidance" auto) \
        --set "precision=$precision" --set checkpoint.every=1 "$@"
}

part_gradients() {
    make_sd15
    for guidance in 1 7.5; do
        tune_sd15 "gradient-bf16-$guidance" 60 1 bf16 "$guidance"
        tune_sd15 "gradient-fp32-$guidance" 240 1 fp32 "$guidance"
        run "cosine-$guidance" 30 python3 tests/bench/cosine.py "$out/run-gradient-bf16-$guidance" \
            "$out/run-gradient-fp32-$guidance" && tell "  guidance $guidance: $(cat "$out/cosine-$guidance.txt")"
    done
}

part_repeat() {
    make_sd15
    tune_sd15 one 90 2 bf16 7.5
    tune_sd15 other 90 2 bf16 7.5
    same_state "Stable Diffusion, the same seed again" one other 2
    tune_sd15 small 120 2 bf16 7.5 "memory.limit=${SMALL:-4.2GB}"
    same_state "Stable Diffusion, blocks recomputed" one small 2
    tune_sd15 half 60 1 bf16 7.5
    run sd15-resume 60 "$program" resume "$out/run-half" --device "$device" --model-path "$sd15" --json --quiet --steps 2
    same_state "Stable Diffusion, 1 step and resumed to 2" one half 2
}

# sd15_row BATCH K KEEP_STEPS LIMIT TIMED_STEPS; LIMIT: memory.limit, or null
sd15_row() {
    name=sd15-batch-$1-k-$2-keep-$3-limit-$4
    # shellcheck disable=SC2046
    watched "$name" 200 "$program" bench sd15-alignprop-paper --device "$device" --model-path "$sd15" --json --steps "$5" \
        --set precision=bf16 $(sd15_settings "$1" "$2" 7.5 "$3") --set "memory.limit=$4" || return 1
    tell "  batch $1, K $2, keep_steps $3, limit $4: $(number "$name" step) s a step," \
        "planned $(number "$name" planned_bytes) bytes, most in use $(cat "$out/$name.memory" 2> /dev/null) MiB"
}

part_sd15() {
    make_sd15
    tune_sd15 start-cold 60 1 bf16 7.5
    began=$(date +%s.%N)
    tune_sd15 start 60 1 bf16 7.5
    tell "  start to first step: $(echo "$began $(date +%s.%N) $(number start seconds)" | awk '{ print $2 - $1 - $3 }') s"
    for row in ${ROWS:-1:8:1:null 4:8:1:null 16:8:1:null 1:1:1:null 1:50:auto:5.5GB 4:8:auto:6GB 16:8:auto:12GB \
        1:8:auto:null 4:8:auto:null 16:8:auto:null}; do
        # shellcheck disable=SC2046
        sd15_row $(echo "$row" | tr : ' ') "${TIMED:-3}"
    done
    part_classes
}

part_classes() {
    make_sd15
    for batch in ${CLASSES:-1 16}; do
        # shellcheck disable=SC2046
        classes_row "sd15-batch-$batch" 150 sd15-alignprop-paper --model-path "$sd15" --set precision=bf16 \
            $(sd15_settings "$batch" "${K:-8}" 7.5 auto)
    done
}

# product_row BATCH NAME [VARIABLE=VALUE]
product_row() {
    # shellcheck disable=SC2046
    run "products-$2-batch-$1" 100 env "${3:-LC_ALL=C}" "$program" bench sd15-alignprop-paper --device "$device" \
        --model-path "$sd15" --json --steps 3 --set precision=bf16 $(sd15_settings "$1" 1 7.5 1) || return 1
    tell "  batch $1, products by $2: $(number "products-$2-batch-$1" step) s a step"
}

part_products() {
    make_sd15
    for batch in ${PRODUCTS:-1 16}; do
        product_row "$batch" library-and-warpgroups
        product_row "$batch" library-and-warps ALIGNPROP_WARPGROUPS=off
        product_row "$batch" warpgroups-alone ALIGNPROP_CUBLASLT=none
    done
}

part_peer() { # rows as BATCH:K
    for row in ${1:-1:8 4:8 16:8 1:1 1:50}; do
        peer_row "sd15-batch-${row%:*}-k-${row#*:}" 300 --model sd15-random --size "$size" --steps "$steps" --guidance 7.5 \
            --reward aesthetic --checkpoint --repeat 3 --batch "${row%:*}" --keep "${row#*:}"
    done
}

part_sanitizer() {
    for tool in memcheck racecheck; do
        run "sanitizer-$tool" 280 compute-sanitizer --tool $tool --error-exitcode 9 "$build/tests/cuda/test_device_kernels"
    done
}

{
    echo "${COMMIT:-$(git rev-parse HEAD 2> /dev/null || echo "commit unknown")}"
    nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
    nvcc --version | tail -n 2
} > "$home/machine.txt" 2>&1
build_program
run doctor 20 "$program" doctor --json
for part in "$@"; do
    case $part in
    kernels | emoji | gradients | repeat | sd15 | classes | products | sanitizer) "part_$part" ;;
    peer) part_peer ;;
    peer:*) part_peer "${part#peer:}" ;;
    *) tell "there is no part $part" && failures=$((failures + 1)) ;;
    esac
    pack_results
done
pack_results
exit $((failures > 0))
