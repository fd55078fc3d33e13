# What the end-to-end scripts share. $1: the program, $2: the source folder.
set -u
program=$1
source=$2
work=$(mktemp -d /tmp/alignprop-e2e-XXXXXX)
trap 'rm -rf "$work"' EXIT
export XDG_CONFIG_HOME="$work/config" XDG_DATA_HOME="$work/data" XDG_STATE_HOME="$work/state" HF_HOME="$work/hf"
export XDG_RUNTIME_DIR="$work/runtime"
mkdir -m 700 "$work/runtime"
failures=0

check() { # words, then a command that must succeed
    words=$1
    shift
    if "$@"; then
        echo "ok - $words"
    else
        echo "not ok - $words: $*"
        failures=$((failures + 1))
    fi
}

# Runs the program; $out and $err hold what it said, $code its exit status.
run() {
    "$program" "$@" >"$work/out" 2>"$work/err"
    code=$?
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}

has() { # text, part
    case $1 in *"$2"*) return 0 ;; esac
    echo "# expected \"$2\" in: $1"
    return 1
}

is() {
    [ "$1" = "$2" ] && return 0
    echo "# expected \"$2\", found \"$1\""
    return 1
}

small_preset() { # name: a preset of seconds on a tiny model with random weights
    cat >"$work/$1.json" <<JSON
{"schema": 1, "name": "$1", "model": "$source/tests/golden/config/deep-sharded",
 "prompts": {"train": ["a cat", "two dogs", "a red house"], "eval": ["a bird", "a tree"]},
 "rewards": [{"name": "brightness"}, {"name": "jpeg", "weight": 0.1}],
 "sampler": {"steps": 4, "width": 32, "height": 32, "eta": 0.5}, "batch": 2, "steps": 6,
 "checkpoint": {"every": 2, "keep": 3}, "sample": {"every": 3, "count": 2}}
JSON
}

finish() {
    [ "$failures" -eq 0 ] || echo "$failures checks failed"
    [ "$failures" -eq 0 ]
}
