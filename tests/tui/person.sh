# A person at the program in a terminal, read as text: windows of tmux, keys, the mouse, and looks at what should come. No
# key is pressed before what it belongs to is seen. For walkthrough.sh and hands.sh, which source this and end with
# `exit $failed`. Needs `program` (the program to run) and `source` (the source folder).
set -u
work=$(mktemp -d) || exit 1
tmux="tmux -L studio-person-$$ -f /dev/null"
mkdir -m 700 "$work/runtime"
mkdir -p "$work/config/alignprop/presets" "$work/data"
export XDG_RUNTIME_DIR="$work/runtime" XDG_DATA_HOME="$work/data" XDG_STATE_HOME="$work/state"
export XDG_CONFIG_HOME="$work/config" HF_HOME="$work/hf" LC_ALL=C.UTF-8 TZ=UTC
runs="$work/data/alignprop/runs"
failed=0
pids() { sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$runs"/*/engine.json 2>/dev/null; }
cleanup() { $tmux kill-server 2>/dev/null; kill $(pids) 2>/dev/null; sleep 0.3; rm -rf "$work"; }
trap cleanup EXIT
trap 'exit 1' INT TERM

preset() { # NAME STEPS [MEMORY_LIMIT]: of a tiny model with random weights
    cat >"$work/config/alignprop/presets/$1.json" <<PRESET
{"schema": 1, "name": "$1", "model": "$source/tests/golden/config/deep-sharded",
 "prompts": {"train": ["a cat", "two dogs"], "eval": ["a bird", "a tree"]},
 "rewards": [{"name": "brightness"}, {"name": "jpeg", "weight": 0.1}],
 "sampler": {"steps": 4, "width": 32, "height": 32}, "batch": 1, "steps": $2,
 "memory": {"limit": ${3:-null}},
 "checkpoint": {"every": 5, "keep": 4}, "sample": {"every": 5, "count": 2}}
PRESET
}

# ---- the terminal ----

filter_field='^ *Filter:[^(]*$'
patience=400 # looks of a tenth of a second at what should come, on a machine busy with other things

window() { # NAME WORDS...: a studio in a window of its own
    here=$1
    shift
    $tmux new-session -d -s "$here" -x 120 -y 40 "env TERM=tmux-256color $program $*"
    $tmux set-option -g status off >/dev/null
}
text() { $tmux capture-pane -p -t "$here" 2>/dev/null; }
keys() { for key in "$@"; do $tmux send-keys -t "$here" "$key"; done; }
type_text() { $tmux send-keys -t "$here" -l "$1"; }
mouse() { # BUTTON ROW COLUMN LETTER, counted from 1; letter M: pressed or moved, m: let go
    $tmux send-keys -t "$here" -l "$(printf '\033[<%d;%d;%d%s' "$1" "$3" "$2" "$4")"
}
click() { mouse 0 "$1" "$2" M; mouse 0 "$1" "$2" m; } # ROW COLUMN
row_of() { text | grep -n -e "$1" | head -1 | cut -d: -f1; }                               # PATTERN
column_of() { text | sed -n "$1p" | sed "s/$2.*//" | tr -d '\n' | wc -m | awk '{print $1 + 1}'; } # ROW PATTERN
sees() { text | grep -q -e "$1"; }
title() { text | head -1; }
step() { title | sed -n 's/.*step \([0-9]*\)\/.*/\1/p'; }
give_up() { # WORDS: ends the part
    echo "$*"
    exit 1
}
look_until() { # COMMAND...: false when it does not come true in time
    looks=0
    until "$@"; do
        [ $looks -lt $patience ] || return 1
        sleep 0.1
        looks=$((looks + 1))
    done
}
await() { # PATTERN WORDS: what should come
    look_until sees "$1" && return
    echo "$2: there is no \"$1\" on the screen:"
    text | sed 's/ *$//' | grep -v '^$'
    exit 1
}
sees_no() { ! sees "$1"; }
gone() { # PATTERN WORDS
    look_until sees_no "$1" && return
    echo "$2: \"$1\" stays on the screen:"
    text | sed 's/ *$//' | grep -v '^$'
    exit 1
}
# Out of every field, question, error and filter to the home screen. A popup's title begins with a capital, a card's not.
at_home() { sees 'Start from a preset' && sees_no "╭─ [A-Z]\|^ *Filter:\|\[Esc\] dismiss"; }
home() {
    for attempt in 1 2 3 4 5 6 7 8 9 10; do
        keys 1
        (patience=10 && look_until at_home) && return
        keys Escape # and no key at once after it: both would be one, with Alt
        (patience=3 && look_until at_home) && return
    done
    give_up "the home screen cannot be reached"
}
filter_for() { # WORDS: the present screen shows only what holds them
    keys /
    await "$filter_field" "/ opens the filter"
    keys C-e C-u # a message may have stood where a filter that is set already is named
    type_text "$1"
    keys Enter
    await "Filter: $1 (Esc" "the filter"
}
only() { # PRESET: the home screen's cursor is on it
    home
    filter_for "$1"
    await "▸[^a-z]*$1" "the filter leaves the preset that is wanted"
}
nth_run() { ls -d "$runs/$1"-* 2>/dev/null | sed -n "${2}p"; } # PRESET NUMBER: its folder
at_step() { reached=$(step) && [ "${reached:-0}" -ge "$1" ]; }
part() { # FUNCTION: a failure ends it, and the walk goes on
    ("$1") && return
    echo "the part of the walk that failed: $1"
    failed=1
}
