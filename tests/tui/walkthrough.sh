#!/bin/sh
# A person's way through the studio on a real engine (a tiny model with random weights): start, steer, roll back, branch,
# queue, two studios on one run, a killed engine, presets, prompts, compare, mixer. What is on the screen is read as text.
# Usage: walkthrough.sh PROGRAM SOURCE_FOLDER
set -u
program=$1 source=$2
work=$(mktemp -d) || exit 1
tmux="tmux -L studio-walkthrough-$$ -f /dev/null"
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

preset() { # NAME STEPS [MEMORY_LIMIT]
    cat >"$work/config/alignprop/presets/$1.json" <<PRESET
{"schema": 1, "name": "$1", "model": "$source/tests/golden/config/deep-sharded",
 "prompts": {"train": ["a cat", "two dogs"], "eval": ["a bird", "a tree"]},
 "rewards": [{"name": "brightness"}, {"name": "jpeg", "weight": 0.1}],
 "sampler": {"steps": 4, "width": 32, "height": 32}, "batch": 1, "steps": $2,
 "memory": {"limit": ${3:-null}},
 "checkpoint": {"every": 5, "keep": 4}, "sample": {"every": 5, "count": 2}}
PRESET
}
preset tiny-long 100000
preset tiny-short 12
preset tiny-limit 12 '"1 MiB"'

# ---- the terminal ----

window() { # NAME WORDS...: a studio in a window of its own
    name=$1
    shift
    $tmux new-session -d -s "$name" -x 120 -y 40 "env TERM=tmux-256color $program $*"
    $tmux set-option -g status off >/dev/null
    here=$name
}
text() { $tmux capture-pane -p -t "$here"; }
type_keys() { for key in "$@"; do $tmux send-keys -t "$here" "$key"; sleep 0.12; done; }
type_text() { $tmux send-keys -t "$here" -l "$1"; sleep 0.12; }
sees() { text | grep -q -e "$1"; }
await() { # PATTERN WORDS: what should come
    tries=0
    while [ $tries -lt "${3:-150}" ]; do
        sees "$1" && return 0
        sleep 0.1
        tries=$((tries + 1))
    done
    echo "$2: there is no \"$1\" on the screen:"
    text | sed 's/ *$//' | grep -v '^$' | head -30
    failed=1
    return 1
}
gone() { # PATTERN WORDS
    tries=0
    while sees "$1" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    sees "$1" || return 0
    echo "$2: \"$1\" stays on the screen"
    failed=1
}
title() { text | head -1; }
step() { title | sed -n 's/.*step \([0-9]*\)\/.*/\1/p'; }

# ---- start from the first screen, steer ----

window first
await 'Start from a preset' "the first screen"
type_keys /
type_text tiny-long
type_keys Enter
await '▸ *tiny-long' "the filter leaves the preset that is wanted"
type_keys Enter
await '● running' "Enter starts it" 300
await 'held-out' "held-out reward of the untrained model" 300
[ -f "$(ls -d "$runs"/tiny-long-*)/samples/step-000000/01-43.png" ] ||
    { echo "with a batch of one the second held-out picture has the first one's number"; failed=1; }
type_keys p
await '● paused' "p pauses"
at=$(step)
sleep 0.5
[ "$(step)" = "$at" ] || { echo "a paused run goes on"; failed=1; }
type_keys Right Right
await '1\.10' "the slider shows the wanted weight"
type_keys p
await '▴' "a change marks the time axis"
type_keys u
await '1\.00' "u takes the weight back"
type_keys = C-u
type_text 0.5
type_keys Enter
await '0\.50' "a weight is typed"
type_keys = C-u
type_text nonsense
type_keys Enter
await '"nonsense" is no weight' "a wrong weight is an error"
type_keys 2 Down Up
await '"nonsense" is no weight' "an error stays until it is dismissed"
type_keys Escape
gone 'nonsense' "Esc dismisses the error"
await '1 home' "and does no more than that"

# ---- checkpoint and rollback ----

while [ "$(step)" -lt $((at + 12)) ]; do sleep 0.1; done
type_keys p
await '● paused' "p pauses again"
before=$(step)
type_keys R
await 'Roll back' "R asks where to"
to=$(text | sed -n 's/.*to step \([0-9]*\).*/\1/p' | sed -n 2p)
type_keys b
await "step $to/" "the run is back at the checkpoint"
[ "$to" -lt "$before" ] || { echo "rolled back from $before to $to"; failed=1; }

# ---- two studios on one run ----

window second attach
await '● paused' "attach without a name goes to the run under way"
# All but the pictures' columns: of what is being made only who was there has seen the previews.
figures() { text | sed "s/^.\{1,68\}//"; }
same_screens() { here=first && figures >"$work/watched" && here=second && figures >"$work/attached" && cmp -s "$work/watched" "$work/attached"; }
tries=0
until same_screens || [ $tries -ge 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
diff "$work/watched" "$work/attached" >"$work/difference" ||
    { echo "who attaches does not see what who has watched sees:"; cat "$work/difference"; failed=1; }
type_keys p
here=first
await '● running' "the first studio shows what the second has done"
type_keys p
here=second
await '● paused' "and the other way round"
type_keys q
await 'detach, the run goes on' "q asks"
type_keys Escape
gone 'detach, the run goes on' "Esc leaves the question"
type_keys q d
sleep 0.5
$tmux has-session -t second 2>/dev/null && { echo "d does not detach"; failed=1; }

# ---- a new run from this checkpoint, on a busy device ----

here=first
type_keys N
await "from step [0-9]" "N opens the settings for a new run from the checkpoint"
await 'of the checkpoint' "what the checkpoint fixes is locked"
type_keys /
type_text rank
type_keys Enter g Right
await "is the checkpoint's" "a locked field says why"
type_keys Escape Escape s
await 'The device is busy' "the device is busy"
await 'queue: start when it is free' "queueing is offered"
type_keys Escape
gone 'The device is busy' "Esc cancels"
type_keys s
await 'The device is busy' "asked again"
type_keys w
await '● waiting' "w queues" 300
await 'waiting until the device is free' "it says for what it waits"
queued=$(title | awk '{print $1}')
type_keys 1 Escape
type_keys /
type_text tiny-short
type_keys Enter Enter
await 'The device is busy' "another one"
type_keys w
await 'waiting, 1 before it' "who comes later waits behind" 300
type_keys 9
await 'waiting\|running' "the runs"
window third attach tiny-long
$tmux kill-session -t third 2>/dev/null
here=first
first_run=$(ls "$runs" | head -1)
"$program" stop "$first_run" --quiet || { echo "stop failed"; failed=1; }

# ---- the queue moves on ----

tries=0
while [ $tries -lt 200 ] && [ "$(ls -d "$runs"/tiny-long-*/metrics.jsonl 2>/dev/null | wc -l)" -lt 2 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
second_run=$(ls -d "$runs"/tiny-long-* | sed -n 2p)
[ -f "$second_run/origin.safetensors" ] || { echo "the new run does not begin with the checkpoint"; failed=1; }
[ -f "$(ls -d "$runs"/tiny-short-*)/metrics.jsonl" ] && { echo "who came later runs first"; failed=1; }

# ---- a killed engine, its last words, resume ----

type_keys 9 g
await 'running' "the run from the checkpoint is on"
type_keys /
type_text running
type_keys Enter g Enter
await '● running' "it opens"
while [ "$(step)" -lt 7 ]; do sleep 0.1; done
kill -9 "$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$second_run/engine.json")"
await 'died at step' "the studio says that the engine died"
await 'r resumes' "and offers to resume"
type_keys r
await 'busy\|● waiting\|● starting\|● running' "r resumes"
sees 'The device is busy' && type_keys r
await '● running' "it runs again" 300
type_keys X
await 'Stop the run' "X asks"
type_keys s
await '● stopped' "stopped" 300

# ---- what does not fit says what would ----

type_keys 1 Escape /
type_text tiny-limit
type_keys Enter Enter
await 'the limit is' "what does not fit is refused with its figures" 300
await '\[a\] no memory limit' "and a remedy under a key"
type_keys a
gone 'the limit is' "the remedy is taken"
ls -d "$runs"/tiny-limit-* >/dev/null 2>&1 && { echo "a refused run leaves a folder"; failed=1; }

# ---- presets: duplicate, rename, delete, undo ----

type_keys 1 Escape /
type_text tiny-short
type_keys Enter d
await 'Duplicate preset' "d duplicates"
type_keys C-u
type_text tiny-copy
type_keys Enter
sleep 0.5
type_keys / C-u
type_text tiny-copy
type_keys Enter
await 'tiny-copy' "the copy is there"
type_keys R C-u
type_text tiny-renamed
type_keys Enter
sleep 0.5
type_keys / C-u
type_text tiny-ren
type_keys Enter
await 'tiny-renamed' "renamed"
type_keys D
gone '▸ *tiny-renamed' "deleted"
type_keys u
await '▸ *tiny-renamed' "u brings it back"

# ---- prompts ----

printf '# a comment\nfirst of a file\nsecond of a file\n' >"$work/prompts.txt"
type_keys e 4
await 'training prompts (2)' "the prompts"
type_keys a
$tmux set-buffer -b many 'one pasted
two pasted
three pasted
'
$tmux paste-buffer -p -b many -t "$here"
type_keys Enter
await 'training prompts (5)' "pasting many lines adds each"
type_keys u
await 'training prompts ([234])' "u takes prompts back"
type_keys f
type_text "$work/prompts.txt"
type_keys Enter
await 'second of a file' "a file is loaded"
type_keys / C-u
type_text cat
type_keys Enter
gone 'two dogs' "the filter"
type_keys Escape
await 'two dogs' "Esc ends the filter"
type_keys g Space
await 'held-out prompts (3)' "Space moves a prompt to the other list"
type_keys 1
await 'Start from a preset' "back home"

# ---- settings saved as a preset, compare, palette, help, mixer ----

type_keys e S C-u
type_text tiny-saved
type_keys Enter
await 'saved: .*tiny-saved' "settings are saved as a preset"
type_keys 1 Escape /
type_text tiny-
type_keys Enter g Space Down Space 7
await 'differ' "two presets compared"
type_keys :
type_text mixr
await '▸\|mixer' "the palette finds by letters"
type_keys Enter
await 'adapters' "the mixer"
await 'a bird' "with a prompt" 300
gone 'redrawing' "the picture is drawn"
type_keys Left Left
await '0\.90' "a strength"
type_keys y
await 'alignprop sample --preset' "y shows the command"
type_keys '?'
await 'Help: Mixer' "help of this screen"
type_keys Escape
type_keys q
sleep 0.5
$tmux has-session -t first 2>/dev/null && { echo "q does not leave"; text | tail -5; failed=1; }
exit $failed
