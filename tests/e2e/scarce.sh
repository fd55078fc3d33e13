#!/bin/sh
# Small allocations fail from some moment of a run on: it ends with a message and status 1, and what is on the disk is
# whole: the run goes on to the bytes of one that nobody disturbed. $3: the library that makes them fail.
. "$(dirname "$0")/common.sh"
library=$3
moments=${MOMENTS:-20}
small_preset scarce
preset=$work/scarce.json
set -- --set steps=10 --set checkpoint.every=1 --set sample.every=3 --set batch=1 --device cpu --threads 1 --quiet

scarce() { # from which allocation on, then a command
    from=$1
    shift
    SCARCE_FROM=$from SCARCE_COUNT="$work/count" LD_PRELOAD="$library" "$program" "$@" >"$work/out" 2>"$work/err"
    code=$?
    err=$(cat "$work/err")
}

tensors() { # the tensors' bytes: the file behind its header
    size=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +$((size + 9)) "$1" | cksum
}

scarce -1 tune "$preset" --run "$work/whole" "$@"
check "with enough memory the run ends" is "$code" 0
count=$(cat "$work/count")
check "and its allocations are counted" [ "${count:-0}" -gt 1000 ]
expected=$(tensors "$work/whole/lora.safetensors")

moment=0
while [ "$moment" -lt "$moments" ]; do
    run_folder=$work/run-$moment
    scarce $((count * moment / moments)) tune "$preset" --run "$run_folder" "$@"
    check "moment $moment of $moments: status 1" is "$code" 1
    check "and a message" has "$err" "alignprop: out of memory ("
    if [ -d "$run_folder/checkpoints" ]; then
        run resume "$run_folder" --quiet
        check "the run goes on" is "$code" 0
        check "to the same bytes" is "$(tensors "$run_folder/lora.safetensors")" "$expected"
    fi
    moment=$((moment + 1))
done
check "some of them had saved" [ -d "$work/run-$((moments - 1))/checkpoints" ]

# What does not fit is told apart: a size that the preset chose, with memory for everything small.
run plan "$preset" --set memory.limit='"1 MiB"'
check "a plan tells what does not fit" has "$err" "does not fit: needs"
run tune "$preset" --set memory.limit='"1 MiB"' --run "$work/narrow" --device cpu --threads 1 --quiet
check "a run that does not fit has status 4" is "$code" 4
finish
