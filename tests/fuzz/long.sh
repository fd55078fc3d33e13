#!/bin/sh
# Long libFuzzer runs under the address and undefined-behaviour sanitizers: builds build-fuzz/ with clang, then runs each
# target for the given minutes. Ends with another status than 0 if a target failed; the input that made it fail then lies
# in WORK/TARGET/.
#
#   sh tests/fuzz/long.sh MINUTES [TARGET...]
#
# JOBS: how many at a time (2). PRIORITY: how they are started (chrt -i 0: only with time that nobody else wants). WORK:
# the folder of logs and grown corpora (build-fuzz/long), kept between runs. What is worth keeping of one:
#   build-fuzz/tests/fuzz/fuzz_NAME -merge=1 tests/fuzz/corpus/NAME WORK/NAME/corpus
set -eu

minutes=${1:?minutes a target}
shift
root=$(cd "$(dirname "$0")/../.." && pwd -P)
build=$root/build-fuzz
work=${WORK:-$build/long}
[ $# -gt 0 ] || set -- $(ls "$root"/tests/fuzz/fuzz_*.c | sed 's,.*/fuzz_\(.*\)\.c$,\1,')

if [ "${ONE_TARGET-}" != yes ]; then
    if [ ! -f "$build/build.ninja" ]; then
        (cd "$root" && CC=clang meson setup build-fuzz -Dfuzz=true -Dsanitize=true -Dcuda=disabled) >&2
    fi
    printf 'tests/fuzz/fuzz_%s\n' "$@" | xargs ninja -C "$build" >&2
fi

seeds() {
    mkdir -p "$work/$1/corpus"
    if [ "$1" = pictures ]; then
        cp "$root"/tests/golden/pictures/*.png "$root"/tests/golden/pictures/*.jpg "$work/$1/corpus/"
        return
    fi
    cp "$root/tests/fuzz/corpus/$1/"* "$work/$1/corpus/"
    if [ "$1" = preset ]; then cp "$root"/presets/*.json "$work/$1/corpus/"; fi
}

# The time limit of an input is long, because at this priority a busy machine lets a target wait for seconds.
fuzz() (
    cd "$work/$1"
    ASAN_OPTIONS=detect_leaks=1:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        ${PRIORITY:-chrt -i 0} "$build/tests/fuzz/fuzz_$1" -max_total_time=$((minutes * 60)) -max_len=16384 -timeout=300 -rss_limit_mb=2048 \
        -dict="$root/tests/fuzz/words.dict" -print_final_stats=1 -artifact_prefix="$work/$1/" corpus >log 2>&1
)

report() {
    printf '%s: %s executions in %d minutes, %s inputs kept, %s\n' "$1" \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1/log")" "$minutes" "$(ls "$work/$1/corpus" | wc -l)" "$2"
}

run() {
    seeds "$1"
    if fuzz "$1"; then report "$1" 'no failure'; else
        report "$1" 'FAILED'
        return 1
    fi
}

# xargs calls this script again for one target.
if [ "${ONE_TARGET-}" = yes ]; then
    run "$1"
else
    printf '%s\n' "$@" | ONE_TARGET=yes xargs -n 1 -P "${JOBS:-2}" sh "$0" "$minutes"
fi
