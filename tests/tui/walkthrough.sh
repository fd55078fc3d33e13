#!/bin/sh
# A person's way through the studio on a real engine (a tiny model with random weights): start, steer, roll back, branch,
# queue, two studios on one run, a killed engine, presets, prompts, compare, mixer. The way has parts; one that fails is
# given up, and the next begins on the home screen.
# Usage: walkthrough.sh PROGRAM SOURCE_FOLDER
program=$1 source=$2
. "$(dirname "$0")/person.sh"
preset tiny-long 100000
preset tiny-short 12
preset tiny-limit 12 '"1 MiB"'

# ---- start from the first screen, steer ----

starting() {
    await 'Start from a preset' "the first screen"
    only tiny-long
    keys Enter
    await '● running' "Enter starts it"
    await 'held-out' "held-out reward of the untrained model"
    [ -f "$(nth_run tiny-long 1)/samples/step-000000/01-43.png" ] ||
        give_up "with a batch of one the second held-out picture has the first one's number"
}

steering() {
    keys p
    await '● paused' "p pauses"
    paused_at=$(step)
    keys Right Right
    await '1\.10' "the slider shows the wanted weight"
    await "1\.10.*@$((paused_at + 1))\|1\.10.* next" "the engine has taken the weight in, for its next step"
    [ "$(step)" = "$paused_at" ] || give_up "a paused run goes on"
    keys p
    await '▴' "a change marks the time axis"
    keys u
    await '1\.00' "u takes the weight back"
    keys =
    await 'Weight' "= types a weight"
    keys C-u
    type_text 0.5
    keys Enter
    await '0\.50' "a weight is typed"
    keys =
    await 'Weight' "= again"
    keys C-u
    type_text nonsense
    keys Enter
    await 'Not a valid weight .*"nonsense"' "a wrong weight is an error"
    keys 2 Down Up
    await 'Not a valid weight .*"nonsense"' "an error stays until it is dismissed"
    keys Escape
    gone 'nonsense' "Esc dismisses the error"
    await '1 home' "and does no more than that"
}

# ---- checkpoint and rollback ----

rolling_back() {
    look_until at_step 12 || give_up "the run does not go on"
    keys p
    await '● paused' "p pauses again"
    before=$(step)
    keys R
    await 'Roll back' "R asks where to"
    to=$(text | sed -n 's/.*to step \([0-9]*\).*/\1/p' | sed -n 2p)
    keys b
    await "step $to/" "the run is back at the checkpoint"
    [ "$to" -lt "$before" ] || give_up "rolled back from $before to $to"
}

# ---- two studios on one run ----

same_screens() { here=first && text >"$work/watched" && here=second && text >"$work/attached" && cmp -s "$work/watched" "$work/attached"; }
both() { for here in first second; do keys "$@"; done; }

attaching() {
    window second attach
    await '● paused' "attach without a name goes to the run under way"
    for set in "the overview" "the held-out pictures" "the batch by rank" "what is being made"; do
        look_until same_screens || {
            diff "$work/watched" "$work/attached"
            give_up "who attaches does not see what who has watched sees of $set"
        }
        both v
    done
    keys p
    here=first
    await '● running' "the first studio shows what the second has done"
    keys p
    here=second
    await '● paused' "and the other way round"
    keys q
    await 'detach; the run continues' "q asks"
    keys Escape
    gone 'detach; the run continues' "Esc leaves the question"
    keys q
    await 'detach; the run continues' "asked again"
    keys d
    look_until is_gone second || give_up "d does not detach"
}
is_gone() { ! $tmux has-session -t "$1" 2>/dev/null; }

# ---- a new run from this checkpoint, on a busy device ----

branching() {
    keys N
    await "from step [0-9]" "N opens the settings for a new run from the checkpoint"
    await 'of the checkpoint' "what the checkpoint fixes is locked"
    keys /
    await "$filter_field" "/ opens the filter"
    type_text rank
    keys Enter g Right
    await "is fixed by the checkpoint" "a locked field says why"
    keys Escape
    gone "is fixed by the checkpoint" "Esc takes the message away"
    keys Escape
    gone 'Filter: ' "and then the filter"
    keys s
    await 'The device is busy' "the device is busy"
    await 'queue: start when it is free' "queueing is offered"
    keys Escape
    gone 'The device is busy' "Esc cancels"
    keys s
    await 'The device is busy' "asked again"
    keys w
    await '● waiting' "w queues"
    await 'waiting for the device' "it says for what it waits"
}

queueing() {
    only tiny-short
    keys Enter
    await 'The device is busy' "another one"
    keys w
    await 'waiting behind 1' "who comes later waits behind"
    keys 9
    await 'waiting' "the runs"
    window third attach "$(basename "$(nth_run tiny-long 1)")"
    await '● paused' "attach with a run's name goes to that run"
    $tmux kill-session -t third
}

second_is_on() { [ -f "$(nth_run tiny-long 2)/metrics.jsonl" ]; }

moving_on() {
    "$program" stop "$(basename "$(nth_run tiny-long 1)")" --quiet || give_up "stop failed"
    look_until second_is_on || give_up "the run that waited does not start"
    [ -f "$(nth_run tiny-long 2)/origin.safetensors" ] || give_up "the new run does not begin with the checkpoint"
    [ ! -f "$(nth_run tiny-short 1)/metrics.jsonl" ] || give_up "who came later runs first"
}

# ---- a killed engine, its last words, resume ----

runs_again() {
    sees 'The device is busy' && keys r
    sees '● running'
}
short_has_ended() { grep -q '"event": *"end"' "$(nth_run tiny-short 1)/metrics.jsonl" 2>/dev/null; }

dying() {
    home
    keys 9 g
    await 'running' "the run from the checkpoint is on"
    keys /
    await "$filter_field" "/ opens the filter"
    type_text running
    keys Enter
    await 'Filter: running (Esc' "the runs that are on"
    keys g Enter
    await '● running' "it opens"
    look_until at_step 7 || give_up "it does not go on"
    kill -9 "$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$(nth_run tiny-long 2)/engine.json")"
    await 'died at step' "the studio says that the engine died"
    await '\[r\] resume' "and offers to resume"
    keys r
    look_until runs_again || await '● running' "r resumes"
    keys X
    await 'Stop the run' "X asks"
    keys s
    await '● stopped' "stopped"
    look_until short_has_ended || give_up "the last of the queue has not run"
}

# ---- what does not fit says what would ----

no_folder_of_limit() { [ -z "$(nth_run tiny-limit 1)" ]; }

refusing() {
    only tiny-limit
    keys Enter
    await 'the limit is' "what does not fit is refused with its figures"
    await '\[a\] no memory limit' "and a remedy under a key"
    keys a
    gone 'the limit is' "the remedy is taken"
    look_until no_folder_of_limit || give_up "a refused run leaves a folder"
}

# ---- presets: duplicate, rename, delete, undo ----

keeping_presets() {
    only tiny-short
    keys d
    await 'Duplicate preset' "d duplicates"
    keys C-u
    type_text tiny-copy
    keys Enter
    await 'Saved .*tiny-copy' "the copy is saved"
    only tiny-copy
    keys R
    await 'Rename preset' "R renames"
    keys C-u
    type_text tiny-renamed
    keys Enter
    await 'No preset matches' "the old name is gone"
    only tiny-renamed
    keys D
    await 'No preset matches' "deleted"
    keys u
    await '▸[^a-z]*tiny-renamed' "u brings it back"
}

# ---- prompts ----

prompts() {
    printf '# a comment\nfirst of a file\nsecond of a file\n' >"$work/prompts.txt"
    only tiny-short
    keys e 4
    await 'training prompts (2)' "the prompts"
    keys a
    await 'Add a training prompt' "a adds some"
    $tmux set-buffer -b many 'one pasted
two pasted
three pasted
'
    $tmux paste-buffer -p -b many -t "$here"
    keys Enter
    await 'training prompts (5)' "pasting many lines adds each"
    keys u
    await 'training prompts ([234])' "u takes prompts back"
    keys f
    await 'Load prompts' "f asks for a file"
    type_text "$work/prompts.txt"
    keys Enter
    await 'second of a file' "a file is loaded"
    keys /
    await "$filter_field" "/ opens the filter"
    type_text cat
    keys Enter
    gone 'two dogs' "the filter"
    keys Escape
    await 'two dogs' "Esc ends the filter"
    keys g Space
    await 'training prompts ([0-9]* of' "Space leaves a prompt out"
    keys g m
    await 'held-out prompts (3)' "m moves a prompt to the other list"
    keys 1
    await 'Start from a preset' "back home"
}

# ---- settings saved as a preset, compare, palette, help, mixer ----

saving() {
    only tiny-short
    keys e S
    await 'Save as preset' "S saves"
    keys C-u
    type_text tiny-saved
    keys Enter
    await 'Saved .*tiny-saved' "settings are saved as a preset"
}

comparing() {
    home
    keys /
    await "$filter_field" "/ opens the filter"
    type_text tiny-
    keys Enter
    await 'Filter: tiny- (Esc' "the filter"
    keys g Space Down Space
    await 'Two are marked' "Space marks"
    keys 7
    await 'differ' "two presets compared"
}

mixing() {
    home
    keys :
    await 'Commands' ": opens the palette"
    type_text mixr
    await '▸\|mixer' "the palette finds by letters"
    keys Enter
    await 'adapters' "the mixer"
    await 'a bird' "with a prompt"
    gone 'Redrawing' "the picture is drawn"
    keys Left Left
    await '0\.90' "a strength"
    keys y
    await 'alignprop sample --preset' "y shows the command"
    keys '?'
    await 'Help: Mixer' "help of this screen"
    keys Escape
    gone 'Help: Mixer' "Esc closes the help"
}

leaving() {
    home
    keys q
    look_until is_gone first || give_up "q does not leave"
}

window first
for each in starting steering rolling_back attaching branching queueing moving_on dying refusing keeping_presets prompts \
    saving comparing mixing leaving; do
    part $each
done
exit $failed
