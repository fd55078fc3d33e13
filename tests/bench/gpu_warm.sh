#!/bin/sh
# The second call, for the minutes that a machine with a GPU stays after the first: whether gradients are right and runs
# repeat. Takes the weights and programs that gpu.sh left, or makes them. README.md here says more.
#
#   tests/bench/gpu_warm.sh OUT [PART...]
#
# OUT as for gpu.sh. Parts, in the order in which they are worth having (default: all), Stable Diffusion 1.5 at 512x512:
#   gradients  the cosine between the adapter gradients of bf16 and fp32, at guidance 7.5 and 1
#   repeat     the same seed gives the same bits; one step resumed to two equals two; neither recording nor recomputed
#              blocks change a bit
#   memory     K = 50 at batch 1 in 5.5 GB, and as the program chooses: its peak as nvidia-smi sees it
# The environment may say what it may for gpu.sh; SECONDS_LEFT=240, and to rehearse COSINE (the least), MOST_K, SMALL and
# LITTLE.
set -u
[ $# -ge 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/gpu_common.sh"
open_call "$1" 240
shift
[ $# -gt 0 ] || set -- gradients repeat memory

# tune NAME LIMIT COUNT PRECISION GUIDANCE [SETTING...]: COUNT optimiser steps and their checkpoints, into WORK/run-NAME
tune() {
    tune_name=$1 tune_limit=$2 count=$3 precision=$4 guidance=$5
    shift 5
    for setting in "$@"; do set -- "$@" --set "$setting"; shift; done
    rm -rf "$work/run-$tune_name"
    # shellcheck disable=SC2046 # arguments are words
    step "tune-$tune_name" "$tune_limit" "$program" tune sd15-alignprop-paper --device "$device" --model-path "$model" --json \
        --quiet --steps "$count" --run "$work/run-$tune_name" $(sd15_settings 1 "$kept" "$guidance") \
        --set "precision=$precision" --set checkpoint.every=1 "$@"
}

same_state() { # what, run, other run, step
    file=checkpoints/$(printf 'step-%06d' "$4")/optimizer.safetensors
    if [ -s "$work/run-$2/$file" ] && cmp -s "$work/run-$2/$file" "$work/run-$3/$file"; then
        tell "  $1: the same bits"
    else
        tell "  $1: DIFFERENT"
        fail "$1"
    fi
}

part_gradients() {
    for guidance in 7.5 1; do
        tune "bf16-$guidance" 40 1 bf16 "$guidance"
        tune "fp32-$guidance" 100 1 fp32 "$guidance"
        step "cosine-$guidance" 30 "$python" tests/bench/cosine.py "$work/run-bf16-$guidance" "$work/run-fp32-$guidance" \
            "${COSINE:-0.99}" &&
            tell "  guidance $guidance: $(cat "$work/cosine-$guidance.txt")"
    done
}

part_repeat() {
    tune one 40 2 bf16 7.5
    tune other 40 2 bf16 7.5
    same_state "the same seed again" one other 2
    tune half 40 1 bf16 7.5
    step resume 40 "$program" resume "$work/run-half" --device "$device" --model-path "$model" --json --quiet --steps 2
    same_state "one step, resumed to two" one half 2
    export ALIGNPROP_CUDA_GRAPHS=off
    tune direct 40 2 bf16 7.5
    unset ALIGNPROP_CUDA_GRAPHS
    same_state "nothing recorded" one direct 2
    tune small 60 2 bf16 7.5 "memory.limit=${SMALL:-4.2GB}"
    same_state "blocks recomputed" one small 2
}

part_memory() {
    row_settings="--set memory.limit=${LITTLE:-5.5GB}"
    bench_row k-50-little 60 1 "${MOST_K:-50}" 3
    row_settings=
    bench_row k-50 60 1 "${MOST_K:-50}" 3
}

probe
start_weights
wait_for_weights || { tell "there are no weights"; close_call; exit 1; }
for part in "$@"; do
    case $part in
    gradients | repeat | memory) "part_$part" ;;
    *) tell "there is no part $part" && fail "$part" ;;
    esac
done
close_call
