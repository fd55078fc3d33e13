#!/bin/sh
# Long libFuzzer runs under the address and undefined-behaviour sanitizers: builds build-fuzz/ with clang, then runs each
# target for the given minutes, two at a time and at the lowest priority. Ends with 1 if a target failed; the input that
# made it fail then lies in WORK/TARGET/.
#
#   sh tests/fuzz/long.sh MINUTES [TARGET...]       WORK=folder of the grown corpora and logs (build-fuzz/long)
#
# Grown corpora are kept in WORK between runs. What is worth keeping of one: build-fuzz/tests/fuzz/fuzz_NAME -merge=1
# tests/fuzz/corpus/NAME WORK/NAME/corpus
set -eu

minutes=${1:?minutes a target}
shift
root=$(cd "$(dirname "$0")/../.." && pwd -P)
build=$root/build-fuzz
work=${WORK:-$build/long}
[ $# -gt 0 ] || set -- safetensors preset tokenizer prompts frames messages studio_frames studio_input

if [ ! -f "$build/build.ninja" ]; then
    (cd "$root" && CC=clang meson setup build-fuzz -Dfuzz=true -Dcuda=disabled -Db_sanitize=address,undefined -Db_lundef=false \
        -Dbuildtype=debugoptimized) >&2
fi
for target; do printf 'tests/fuzz/fuzz_%s\n' "$target"; done | xargs ninja -C "$build" >&2

seeds() {
    mkdir -p "$work/$1/corpus"
    cp "$root/tests/fuzz/corpus/$1/"* "$work/$1/corpus/"
    if [ "$1" = preset ]; then cp "$root"/presets/*.json "$work/$1/corpus/"; fi
}

fuzz() {
    cd "$work/$1"
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        chrt -i 0 "$build/tests/fuzz/fuzz_$1" -max_total_time=$((minutes * 60)) -max_len=16384 -timeout=20 -rss_limit_mb=2048 \
        -dict="$root/tests/fuzz/words.dict" -print_final_stats=1 -artifact_prefix="$work/$1/" corpus >log 2>&1
}

report() {
    printf '%s: %s executions in %d minutes, %s inputs kept, %s\n' "$1" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1/log")" "$minutes" "$(ls "$work/$1/corpus" | wc -l)" "$2"
}

failed=0
pair() {
    for target; do
        seeds "$target"
        fuzz "$target" &
        eval "pid_$target=$!"
    done
    for target; do
        eval "pid=\$pid_$target"
        if wait "$pid"; then report "$target" 'no failure'; else
            report "$target" 'FAILED'
            failed=1
        fi
    done
}

while [ $# -gt 1 ]; do
    pair "$1" "$2"
    shift 2
done
if [ $# -eq 1 ]; then pair "$1"; fi
exit $failed
