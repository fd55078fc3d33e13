# Read by gpu.sh and gpu_warm.sh: steps that have a limit each, and what they leave.
# shellcheck shell=sh

# open_call OUT SECONDS: sets up everything below. `out` is taken home, `work` stays while the machine does.
open_call() {
    mkdir -p "$1" && out=$(cd "$1" && pwd) || exit 1
    root=$(cd "$(dirname "$0")/../.." && pwd) && cd "$root" || exit 1
    work=${WORK:-$root/build-gpu-work}
    mkdir -p "$work" && work=$(cd "$work" && pwd) || exit 1
    began=$(date +%s)
    patience=${PATIENCE:-1}
    deadline=$((began + ${SECONDS_LEFT:-$2} * patience))
    carried=${CARRIED:-$root/build-carried/carried.tar.gz}
    programs=$work/programs
    mkdir -p "$programs"
    tar -xzf "$carried" -C "$programs" || {
        echo "$carried is missing or broken: run tests/bench/carry.sh first" >&2
        exit 1
    }
    program=$programs/alignprop device=cuda
    export ALIGNPROP_DATA="${ALIGNPROP_DATA:-$root}" XDG_STATE_HOME="$work/state" XDG_CONFIG_HOME="$work/config"
    export XDG_DATA_HOME="$work/data" PYTHONUNBUFFERED=1
    export TORCHINDUCTOR_CACHE_DIR="$work/inductor" TRITON_CACHE_DIR="$work/triton" HF_HUB_OFFLINE=1
    [ ! -d "$programs/python" ] || export PYTHONPATH="$programs/python${PYTHONPATH:+:$PYTHONPATH}"
    python=${PYTHON:-python3}
    size=${SIZE:-512} steps=${STEPS:-50} timed=${TIMED:-8} kept=${K:-8} large=${LARGE:-16}
    settle_model_folder
    : >> "$out/summary.txt"
    rm -f "$work"/*.txt "$work"/*.err # an earlier call's, which it has taken home
    : > "$work/failed"
    tell "$(basename "$0") of $(cat "$programs/commit.txt"), $(date -u '+%Y-%m-%d %H:%M:%S') UTC"
}

# Where Stable Diffusion is or is made: in memory where there is room.
settle_model_folder() {
    model=${SD15:-}
    [ -z "$model" ] || return 0
    model=$work/models
    room=$(df -Pk /dev/shm 2> /dev/null | awk 'NR == 2 { print $4 }')
    [ "${room:-0}" -lt 6000000 ] || model=/dev/shm/alignprop-models
}

tell() {
    echo "$*" | tee -a "$out/summary.txt"
}

fail() {
    echo "$*" >> "$work/failed"
}

# What the steps said so far, for home; written aside first, since a call may be cut off at any time.
pack_results() {
    packed=$(mktemp "$work/results.XXXXXX") && chmod 644 "$packed"
    (cd "$work" && find . -maxdepth 1 -type f \( -name '*.txt' -o -name '*.err' \) | tar -czf "$packed" -T - 2> /dev/null)
    mv "$packed" "$out/results.tar.gz"
}

seconds_left() {
    echo $((deadline - $(date +%s)))
}

# bounded NAME LIMIT COMMAND...: within LIMIT seconds (times PATIENCE, for slow machines) and within what is left, output to WORK/NAME.txt and NAME.err.
bounded() {
    bounded_name=$1 bounded_limit=$(($2 * patience))
    shift 2
    left=$(seconds_left)
    [ "$left" -ge "$bounded_limit" ] || bounded_limit=$left
    [ "$bounded_limit" -ge 3 ] || return 125
    timeout -k 5 "$bounded_limit" "$@" > "$work/$bounded_name.txt" 2> "$work/$bounded_name.err"
}

# step NAME LIMIT COMMAND...: one line in the summary, and what the end of its errors says where it failed.
step() {
    step_name=$1
    step_began=$(date +%s)
    bounded "$@"
    step_code=$?
    case $step_code in
    0) tell "$step_name: done in $(($(date +%s) - step_began)) s" ;;
    125) tell "$step_name: no time left" ;;
    124 | 137) tell "$step_name: STOPPED after $(($(date +%s) - step_began)) s" ;;
    *) tell "$step_name: FAILED ($step_code) after $(($(date +%s) - step_began)) s" ;;
    esac
    [ $step_code -eq 0 ] || fail "$step_name"
    [ $step_code -eq 0 ] || [ $step_code -eq 125 ] || tell "$(tail -n 2 "$work/$step_name.err" | cut -c 1-400)"
    pack_results
    return $step_code
}

# The number of KEY in the last line of JSON of WORK/NAME.txt that has it.
number() {
    grep -o "\"$2\":[-+.0-9e]*" "$work/$1.txt" | tail -n 1 | cut -d: -f2
}

# The same in four digits.
short() {
    number "$1" "$2" | awk '{ printf "%.4g", $1 }'
}

# watched NAME LIMIT COMMAND...: a step, and the most device memory in use meanwhile as nvidia-smi polls it, to
# WORK/NAME.memory (MiB; the driver's and other programs' with it).
watched() {
    watched_file=$work/$1.memory
    : > "$watched_file"
    : > "$watched_file.wanted"
    (
        most=0
        while [ -e "$watched_file.wanted" ]; do
            used=$(nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits 2> /dev/null | head -n 1)
            [ "${used:-0}" -gt "$most" ] && most=$used && echo "$most" > "$watched_file"
            sleep 0.2
        done
    ) &
    watcher=$!
    step "$@"
    watched_code=$?
    rm -f "$watched_file.wanted"
    wait "$watcher"
    return "$watched_code"
}

# ---- what is there ----

# Files that may be cuBLASLt, the likeliest first: one a line.
likely_matrix_libraries() { # name
    [ -z "${ALIGNPROP_CUBLASLT:-}" ] || echo "$ALIGNPROP_CUBLASLT"
    echo "${LD_LIBRARY_PATH:-}" | tr : '\n' | sed -n "s,..*,&/$1,p"
    ls /usr/local/cuda*/lib64/"$1" /usr/local/cuda*/targets/*/lib/"$1" /usr/lib/*/"$1" 2> /dev/null
    ldconfig -p 2> /dev/null | sed -n "s/.*$1.* => //p"
    "$python" -c '
import glob, os, sys
for folder in sys.path:
    for path in glob.glob(os.path.join(folder, "nvidia", "*", "lib", sys.argv[1])):
        print(path)' "$1" 2> /dev/null
}

anywhere_on_disk() { # name
    timeout -k 1 15 find /opt /usr /home /root -xdev -name "$1" 2> /dev/null
}

# Sets ALIGNPROP_CUBLASLT to the first file on standard input that the program can load.
take_matrix_library() {
    while read -r library; do
        echo "$library" >> "$work/matrix_libraries"
        [ -e "$library" ] || continue
        ALIGNPROP_CUBLASLT=$library bounded doctor 30 "$program" doctor --json
        grep -q '"matrix_library":true' "$work/doctor.txt" || continue
        export ALIGNPROP_CUBLASLT="$library"
        return 0
    done
    return 1
}

# The emulated device has its own.
find_matrix_library() {
    bounded doctor 30 "$program" doctor --json
    runtime=$(number doctor runtime)
    name=libcublasLt.so.$((${runtime:-13000} / 1000))
    : > "$work/matrix_libraries"
    likely_matrix_libraries "$name" > "$work/likely"
    take_matrix_library < "$work/likely" && return 0
    ! grep -q '"matrix_library":true' "$work/doctor.txt" || return 0
    anywhere_on_disk "$name" > "$work/likely"
    take_matrix_library < "$work/likely"
}

probe() {
    {
        echo "commit $(cat "$programs/commit.txt")"
        timeout -k 5 20 nvidia-smi --format=csv \
            --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.sm,power.limit
        uname -a
        nproc
        free -g | head -n 2
        df -h /dev/shm "$work"
        "$python" --version
    } > "$out/machine.txt" 2>&1
    if find_matrix_library; then
        tell "cuBLASLt: ${ALIGNPROP_CUBLASLT:-found by its name}"
    else
        tell "cuBLASLt: NOT FOUND, so all products are own ones (looked for at: $(tr '\n' ' ' < "$work/matrix_libraries"))"
        fail "cuBLASLt"
    fi
    missing=$(grep -o '"missing":"[^"]*"' "$work/doctor.txt" | cut -d'"' -f4)
    tell "device: $(grep -o '"name":"[^"]*","capability":"[^"]*"' "$work/doctor.txt")${missing:+ MISSING: $missing}"
    cat "$work/doctor.txt" "$work/doctor.err" >> "$out/machine.txt"
    [ -z "$missing" ] || { fail "the device"; pack_results; tell "nothing can be measured"; exit 1; }
    pack_results
}

# ---- Stable Diffusion 1.5 ----

start_weights() {
    weights=
    [ ! -e "$model/stable-diffusion-v1-5/rewards/clip/tokenizer_config.json" ] || return 0
    # shellcheck disable=SC2086 # an option or none
    bounded weights 200 "$python" tests/bench/make_sd15.py "$model" ${MODEL_SIZE:-} &
    weights=$!
}

# Whether there are weights, once what makes them is done.
wait_for_weights() {
    if [ -n "$weights" ]; then
        wait "$weights" || { tell "weights: FAILED, $(tail -n 1 "$work/weights.err")"; fail weights; }
        weights=
    fi
    [ -e "$model/stable-diffusion-v1-5/rewards/clip/tokenizer_config.json" ]
}

# sd15_settings BATCH K GUIDANCE: as arguments
sd15_settings() {
    for setting in accumulate=1 backprop.method=last-k sample.every=0 sample.count=1 "sampler.width=$size" "sampler.height=$size" \
        "sampler.steps=$steps" "batch=$1" "backprop.k=$2" "sampler.guidance=$3"; do
        printf '%s\n' --set "$setting"
    done
}

# bench_row NAME LIMIT BATCH K STEPS [VARIABLE=VALUE]...: whole steps, the device's memory as the program counts it and as
# nvidia-smi does. row_settings: more settings, as arguments.
row_settings=
bench_row() {
    row=$1 row_limit=$2 row_batch=$3 row_k=$4 row_steps=$5
    shift 5
    # shellcheck disable=SC2046,SC2086 # arguments are words
    watched "$row" "$row_limit" env "$@" "$program" bench sd15-alignprop-paper --device "$device" --model-path "$model" \
        --json --steps "$row_steps" --set precision=bf16 $(sd15_settings "$row_batch" "$row_k" 7.5) \
        $row_settings || return 1
    tell "  step $(short "$row" step) s (sampling $(short "$row" sampling), decoding $(short "$row" decoding)," \
        "rewards $(short "$row" reward), backward $(short "$row" backward)), planned $(number "$row" planned_bytes)," \
        "own peak $(number "$row" device_peak_bytes) bytes, nvidia-smi $(cat "$work/$row.memory") MiB"
}

# ---- the end ----

close_call() {
    pack_results
    tell "took $(($(date +%s) - began)) s; failed: $(sort -u "$work/failed" | tr '\n' ' ')"
    pack_results
    [ ! -s "$work/failed" ]
}
