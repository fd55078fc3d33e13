#!/bin/sh
# The plan is kept: once all is planned, the process takes at most 5 % more than the plan says.
. "$(dirname "$0")/common.sh"

number() { # of $out by its key
    printf '%s' "$out" | tr ',{}' '\n\n\n' | sed -n "s/^[[:space:]]*\"$1\":[[:space:]]*\([0-9]*\).*/\1/p" | head -n 1
}

within_plan() { # what, then settings
    what=$1
    shift
    run bench "$source/tests/bench/step.json" --set sampler.steps=5 --steps 1 --threads 1 --device cpu --json --quiet "$@"
    check "bench of $what" is "$code" 0
    planned=$(number planned_bytes) ready=$(number ready_bytes) peak=$(number peak_bytes)
    grown=$((${peak:-0} - ${ready:-0}))
    echo "# $what: planned $planned, ready at $ready, peak $peak, grown by $grown"
    check "$what grows by at least nine tenths of the plan" [ "$grown" -ge $((${planned:-0} / 10 * 9)) ]
    check "and by at most 5 % more than it" [ "$grown" -le $((${planned:-0} / 100 * 105)) ]
}

within_plan "all activations kept" --set memory.keep_steps=5
within_plan "one step's activations kept" --set memory.keep_steps=1 --set batch=8
within_plan "no step's activations kept" --set memory.keep_steps=0 --set batch=8
finish
