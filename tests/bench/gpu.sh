#!/bin/sh
# The first call on a machine with an NVIDIA GPU: what is right, and how fast. 540 seconds, nothing is compiled, nothing
# is fetched. README.md here says how to prepare it and what it leaves.
#
#   tests/bench/gpu.sh OUT [PART...]
#
# OUT: a folder for what is worth taking home: summary.txt (a line for each step as it ends, the table last), families.txt,
# machine.txt, results.tar.gz (every step's output, packed anew after each step). A step that fails or hangs costs only
# itself. The exit status says whether any failed. Parts, in the order in which they are worth having (default: all):
#   families  each family of kernels at Stable Diffusion's shapes, batch 1 and 16: right, against the exact fp32 kernels on
#             the device, and how fast
#   suite     the kernel suite against double precision, three precisions side by side
#   emoji     steps of the default model
#   steps     Stable Diffusion 1.5, random weights, 512x512, K = 8: whole steps at batch 1, 16 and 4
#   ways      the same at batch 1 and 4 without recorded sequences, with own products, with warps instead of warpgroups,
#             with a product each for queries, keys and values
#   classes   time by class of kernel at batch 16 and 1
#   counters  hardware counters of six kernels, where ncu is there
#   peer      the same steps in PyTorch at its best, with what time is left
# Where something is wrong, the same case runs again with launches blocking and memory checked.
# The environment may say SECONDS_LEFT=540, WORK, CARRIED, SD15, PYTHON (gpu_common.sh), and to rehearse on an emulated
# device PATIENCE (all limits times it), TINY=--tiny, MODEL_SIZE=--tiny, SIZE, STEPS, K, LARGE (the large batch), TIMED
# (steps), SUITE ("--to 5"), EMOJI (settings), PEER and PEER_VARIANTS (arguments of peer.py).
set -u
[ $# -ge 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
. "$(dirname "$0")/gpu_common.sh"
open_call "$1" 540
shift
[ $# -gt 0 ] || set -- families suite emoji steps ways classes counters peer

# ---- cases ----

# again NAME CASE COMMAND...: one case once more, so that the log names the kernel that is wrong.
again() {
    again_name=$1-case-$2 again_case=$2
    shift 2
    checker=
    ! command -v compute-sanitizer > /dev/null || checker="compute-sanitizer --tool memcheck --error-exitcode 9"
    # shellcheck disable=SC2086 # arguments are words
    CUDA_LAUNCH_BLOCKING=1 bounded "$again_name" 40 $checker "$@" --from "$again_case" --to "$again_case"
    tell "  case $again_case again, launches blocking${checker:+, memory checked}: exit $?," \
        "$(grep -h -m 1 -e '^========= .* at ' -e '^wrong' -e ' NO:' "$work/$again_name.txt" | cut -c 1-300)"
}

# The numbers of the wrong cases in a table of families or in what the suite says.
wrong_cases() {
    sed -n -e 's/^ *\([0-9][0-9]*\) .* NO:.*/\1/p' -e 's/^wrong: case \([0-9]*\),.*/\1/p' "$work/$1.txt" | uniq
}

# cases NAME LIMIT COMMAND...: a row of cases, going on after one that hangs or takes the device with it.
cases() {
    cases_name=$1 cases_ends=$(($(date +%s) + $2 * patience)) cases_from=1
    shift 2
    for round in 1 2 3 4 5; do
        position=$work/$cases_name.position
        rm -f "$position"
        bounded "$cases_name-$round" $(((cases_ends - $(date +%s)) / patience)) "$@" --from "$cases_from" --position "$position" \
            --limit $((40 * patience))
        cases_code=$?
        tell "$cases_name: exit $cases_code; $(grep -h -e wrong -e 'is lost' "$work/$cases_name-$round.txt" \
            "$work/$cases_name-$round.err" | tail -n 4 | cut -c 1-300)"
        [ $cases_code -eq 0 ] || fail "$cases_name"
        for each in $(wrong_cases "$cases_name-$round" | head -n 2); do again "$cases_name" "$each" "$@"; done
        pack_results
        [ -s "$position" ] || return 0
        tell "  stopped in case $(cat "$position")"
        again "$cases_name" "$(cut -d' ' -f1 "$position")" "$@"
        cases_from=$(($(cut -d' ' -f1 "$position") + 1))
        [ "$(date +%s)" -lt "$cases_ends" ] || return 1
    done
}

# ---- parts ----

part_families() {
    # shellcheck disable=SC2086 # an option or none
    {
        cases families-1 70 "$programs/check_families" ${TINY:-}
        [ "$large" -eq 1 ] || cases "families-$large" 70 "$programs/check_families" --pictures "$large" --main ${TINY:-}
    }
    cat "$work"/families-*.txt > "$out/families.txt"
}

# The peer's compiler fills its caches meanwhile, since nothing is timed here.
part_suite() {
    # shellcheck disable=SC2046 # arguments are words
    [ -z "${PEER:-}" ] && peer_is_there && bounded peer-caches 90 "$python" tests/bench/peer.py $(peer_arguments 1) --compile default --warm-up 1 \
        --repeat 0 &
    caches=$!
    # shellcheck disable=SC2086 # options
    for precision in fp32 bf16 fp16; do
        cases "suite-$precision" 100 "$programs/test_kernels" "test_$precision" ${SUITE:-} &
        eval "suite_$precision=$!"
    done
    # shellcheck disable=SC2154 # set by the loop
    wait "$suite_fp32" "$suite_bf16" "$suite_fp16"
    wait "$caches"
}

part_emoji() {
    # shellcheck disable=SC2086 # settings are words
    step emoji 30 "$program" bench ${EMOJI:-emoji-closer-to-prompt} --device "$device" --json --steps "$timed" &&
        tell "  step $(short emoji step) s, own peak $(number emoji device_peak_bytes) bytes"
}

part_steps() {
    bench_row steps-1 60 1 "$kept" "$timed"
    [ "$large" -eq 1 ] || {
        bench_row "steps-$large" 130 "$large" "$kept" "$timed"
        bench_row steps-4 60 4 "$kept" "$timed"
    }
}

# Name, batch and what chooses the way.
ways="graphs-off:1:ALIGNPROP_CUDA_GRAPHS=off own-products:1:ALIGNPROP_CUBLASLT=none warps:1:ALIGNPROP_WARPGROUPS=off
    divided:1:ALIGNPROP_WARPGROUPS=divided overlap:1:ALIGNPROP_KERNEL_OVERLAP=on
    projections-apart:1:ALIGNPROP_JOINED_PROJECTIONS=off projections-apart:4:ALIGNPROP_JOINED_PROJECTIONS=off
    own-products:4:ALIGNPROP_CUBLASLT=none warps:4:ALIGNPROP_WARPGROUPS=off"

part_ways() {
    for way in $ways; do
        batch=$(echo "$way" | cut -d: -f2)
        [ "$batch" -le "$large" ] || continue
        bench_row "$(echo "$way" | cut -d: -f1)-$batch" 40 "$batch" "$kept" "$timed" "$(echo "$way" | cut -d: -f3)"
    done
}

# Steps with every call waited for: the first of the two loads code and is not in the table.
part_classes() {
    for batch in $large 1; do
        # shellcheck disable=SC2046
        step "classes-$batch" 100 "$program" bench sd15-alignprop-paper --device "$device" --model-path "$model" --steps 2 \
            --kernels --set precision=bf16 $(sd15_settings "$batch" "$kept" 7.5) &&
            tell "  $(tail -n 1 "$work/classes-$batch.txt")"
        [ "$large" -gt 1 ] || break
    done
}

# counters_of KERNEL LAYER: of the first launch of it at batch 16
counters_of() {
    # shellcheck disable=SC2086 # an option or none
    step "counters-$1" 40 ncu --clock-control none --kernel-name-base function --kernel-name "$1" --launch-count 1 \
        --section SpeedOfLight --section ComputeWorkloadAnalysis --section MemoryWorkloadAnalysis \
        --section MemoryWorkloadAnalysis_Tables --section SchedulerStats --section WarpStateStats --section Occupancy \
        --section LaunchStats "$programs/check_families" --once --pictures "$large" --main --only "$2" ${TINY:-} || return 1
    tell "  $(grep -e ' Duration ' -e 'Compute (SM) Throughput' -e ' DRAM Throughput' -e 'Achieved Occupancy' \
        -e 'No Eligible' "$work/counters-$1.txt" | awk '{ printf "%s, ", $0 }' | tr -s ' ')"
}

part_counters() {
    command -v ncu > /dev/null || { tell "counters: left out, there is no ncu"; return 0; }
    counters_of product_warpgroup_kernel "convolution 3x3 ["
    counters_of attention_kernel "attention ["
    counters_of attention_vjp_kernel "attention ["
    counters_of product_kernel "adapter ["
    counters_of group_apply_kernel "group norm ["
    counters_of layer_norm_kernel "layer norm ["
}

peer_is_there() {
    bounded peer-versions 60 "$python" -c 'import torch, diffusers, transformers
print(torch.__version__, diffusers.__version__, transformers.__version__)'
}

peer_arguments() { # batch
    if [ -n "${PEER:-}" ]; then
        echo "$PEER --batch $1"
    else
        echo "--model sd15-random --device cuda --dtype bf16 --size $size --steps $steps --guidance 7.5 --reward aesthetic" \
            "--keep $kept --batch $1"
    fi
}

# peer_row BATCH SECONDS VARIANTS
peer_row() {
    # shellcheck disable=SC2046 # arguments are words
    step "peer-$1" $(($2 + 5)) "$python" tests/bench/peer.py $(peer_arguments "$1") --warm-up 2 --repeat 3 --best \
        --variants "$3" --seconds "$2"
    tell "  $(tail -n 1 "$work/peer-$1.txt" | grep -o '"fastest": *"[^"]*"\|"seconds_median": *[0-9.e-]*' | head -n 2 |
        tr '\n' ' ')s a step"
}

part_peer() {
    peer_is_there || {
        tell "peer: left out, $python has no torch, diffusers or transformers: $(tail -n 1 "$work/peer-versions.err")"
        return 0
    }
    half=$((($(seconds_left) - 10) / 2))
    [ $half -ge 15 ] || { tell "peer: no time left"; return 0; }
    peer_row 1 $half "${PEER_VARIANTS:-eager,default,reduce-overhead,max-autotune}"
    [ "$large" -eq 1 ] || peer_row "$large" $(($(seconds_left) - 10)) "${PEER_VARIANTS:-eager,default,reduce-overhead}"
}

# ---- the table ----

step_line() { # name of the step, words
    [ -n "$(number "$1" step 2> /dev/null)" ] || return 0
    awk -v words="$2" -v seconds="$(number "$1" step)" -v flops="$(number "$1" flops_per_step)" \
        -v peak="$(number "$1" device_peak_bytes)" \
        'BEGIN { printf "%-34s %9.4f s %8.1f TFLOP/s %8.2f GB\n", words, seconds, flops / seconds * 1e-12, peak * 1e-9 }'
}

# Of the last line, which holds the fastest first and then every variant.
peer_line() { # batch
    [ -s "$work/peer-$1.txt" ] || return 0
    facts='"seconds_median": *[0-9.e-]*\|"compiled": *"[^"]*"\|"checkpoint": *[a-z]*\|"peak_bytes": *[0-9]*\|"attention": *"[a-z]*"'
    printf 'PyTorch, batch %s, the fastest and each: %s\n' "$1" \
        "$(tail -n 1 "$work/peer-$1.txt" | grep -o "$facts" | tr -d '"' | tr '\n' ' ')"
}

print_table() {
    echo
    for name in 1 "$large"; do
        [ -e "$work/families-$name-1.txt" ] || continue
        echo "families, $name pictures: right, us, % of the floor"
        sed -n 's/^ *\([0-9]* .*\)/\1/p' "$work/families-$name"-[0-9].txt | grep -E '(yes|NO:[0-9]*) ' | sed 's/^[0-9]* //' |
            { [ "$name" = "$large" ] && cat || grep -E ' NO:'; } |
            awk '{ line = substr($0, 1, 64); sub(/ +$/, "", line); rest = substr($0, 66); n = split(rest, f, " ");
                   by = f[1] ~ /^(yes|NO:)/ ? "" : f[1]; ok = by == "" ? f[1] : f[2]; us = by == "" ? f[3] : f[4];
                   printf "%-58s %-10s %-5s %10s %7s\n", substr(line, 1, 58), by, ok, us, f[n] }'
        tail -qn 1 "$work/families-$name"-[0-9].txt
    done
    step_line emoji "emoji-closer-to-prompt"
    step_line steps-1 "Stable Diffusion 1.5, batch 1"
    step_line steps-4 "batch 4"
    [ "$large" -eq 1 ] || step_line "steps-$large" "batch $large"
    for way in $ways; do
        name=$(echo "$way" | cut -d: -f1,2 | tr : -)
        step_line "$name" "$name"
    done
    peer_line 1
    [ "$large" -eq 1 ] || peer_line "$large"
}

probe
start_weights
for part in "$@"; do
    case $part in
    steps | ways | classes) wait_for_weights || { tell "$part: left out, there are no weights"; continue; } ;;
    esac
    case $part in
    families | suite | emoji | steps | ways | classes | counters | peer) "part_$part" ;;
    *) tell "there is no part $part" && fail "$part" ;;
    esac
    pack_results
done
[ -z "$weights" ] || kill "$weights" 2> /dev/null
print_table | cut -c 1-900 | tail -c 10000 | tee -a "$out/summary.txt"
close_call
