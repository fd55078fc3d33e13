#!/bin/sh
# What hands do in the studio, on a real engine: the mouse on sliders, lists, panes and buttons; settings of a run that is
# on; edits that no key loses; a start on a busy device, queued or anyway.
# Usage: hands.sh PROGRAM SOURCE_FOLDER
program=$1 source=$2
. "$(dirname "$0")/person.sh"
preset tiny-long 100000
preset tiny-other 100000

weight() { text | sed -n "$(row_of '■ brightness')p" | awk '{for (i = 1; i < NF; i++) if ($i == "brightness") print $(i + 2)}'; }
weight_is() { [ "$(weight)" = "$1" ]; }

starting() {
    await 'Start from a preset' "the first screen"
    only tiny-long
    keys Enter
    await '● running' "Enter starts it"
}

# ---- the mouse ----

sliding() {
    row=$(row_of '■ brightness')
    from=$(column_of "$row" '━*●─')
    [ "$(weight)" = 1.00 ] || give_up "the weight is $(weight) at the start"
    click "$row" "$from" # its left end
    look_until weight_is 0.00 || give_up "a click on the slider's left end leaves $(weight)"
    mouse 0 "$row" "$from" M
    mouse 32 "$row" $((from + 4)) M
    look_until sees "■ brightness.*━●" || give_up "the slider does not follow the mouse"
    mouse 32 3 120 M # past its right end, on another row
    look_until weight_is 1.50 || give_up "dragged past the right end it is $(weight)"
    mouse 0 3 120 m
    mouse 32 "$row" "$from" M # the button is up
    keys Down # what comes after the mouse is seen, so the mouse was
    await '▸■ jpeg' "Down goes to the next reward"
    keys Up
    await '▸■ brightness' "Up goes back"
    weight_is 1.50 || give_up "the slider follows a mouse whose button is up"
    keys u
    look_until weight_is 1.00 || give_up "u leaves $(weight)"
}

clicking() {
    row=$(row_of 'train.*held-out')
    click $((row + 3)) 80 # the curves: once for the focus, once to enlarge
    click $((row + 3)) 80
    gone '■ jpeg' "a second click enlarges the curves"
    keys Escape
    await '■ jpeg' "Esc makes them small"
    click 40 "$(column_of 40 'p pause')"
    await '● paused' "a click on the footer"
    click 40 "$(column_of 40 'p pause')"
    await '● running' "and again"
    click 2 "$(column_of 2 '3 rewards')"
    await 'what can be rewarded' "a click on a tab"
    keys :
    await 'Commands' "the palette"
    type_text gri
    await 'grid' "letters"
    click "$(row_of 'prompts by steps')" 60
    await 'prompt 1 of 2' "a click in the palette"
    keys q
    await 'detach' "q asks"
    click 1 1
    gone 'detach' "a click beside a question leaves it"
}

# ---- a list that is longer than its place ----

scrolling() {
    only tiny-long
    keys e
    await 'Preset *name' "the settings"
    mouse 65 10 20 M
    await ' 4 of [0-9]* ' "the wheel takes the cursor along"
    gone 'Preset *name' "the wheel scrolls"
    mouse 64 10 20 M
    await 'Preset *name' "and back"
    bar=$(column_of 4 '┃')
    click "$(text | grep -n '┃\|│' | tail -1 | cut -d: -f1)" "$bar"
    await ' \([0-9]*\) of \1 ' "a press on the lower end of the bar goes to the last setting"
    mouse 0 10 "$bar" M
    mouse 32 1 20 M # dragged away from the bar, above its upper end
    mouse 0 1 20 m
    await ' 1 of [0-9]* ' "a drag that began on the bar moves it"
    keys PageDown
    await ' [23][0-9] of [0-9]* ' "a page is as long as the list is high"
    keys Home
    await ' 1 of [0-9]* ' "Home goes to the first"
    keys Escape
    await 'Start from a preset' "Esc goes home"
}

# ---- settings of a run that is on ----

looking_at_settings() {
    keys 2
    await '■ jpeg' "the run"
    keys e
    await 'settings of this run' "e shows them"
    filter_for rank
    keys Right
    await 'rank cannot change during a run' "it is locked, and N is offered"
    keys /
    await "$filter_field" "a filter again"
    keys C-u
    type_text 'learning rate'
    keys Enter
    await 'may change now' "the learning rate is not locked"
    keys Right
    await 'learning rate *←* *0.00125' "it changes while the run is on"
    keys u
    await 'learning rate *←* *0.001 ' "and back"
    row=$(row_of '━●─* 1 *$\|━●─* 1 ')
    click "$row" "$(column_of "$row" '━*●─')"
    await 'learning rate *←* *1e-08' "a click on the left end of its slider, which is logarithmic"
    keys u
    await 'learning rate *←* *0.001 ' "and back again"
    keys Escape
    await 'Filter: ' "Esc takes the message away"
    keys Escape
    gone 'Filter: ' "and then shows all settings"
    keys 2
    await '■ jpeg' "the run again"
    keys e
    await 'settings of this run' "its settings again"
    keys Escape
    await '■ jpeg' "Esc goes back to the run"
}

# ---- no key loses an edit ----

keeping_edits() {
    only tiny-other
    keys e
    await 'tiny-other' "the settings"
    filter_for rank
    keys Right
    await '(changed)' "a change"
    keys 1
    await 'Start from a preset' "home"
    keys e
    await '(changed)' "the change is still there"
    only tiny-long
    keys e
    await 'tiny-long' "another preset"
    keys u
    await 'tiny-other (changed)' "u brings the changed one back"
    keys 4
    await 'training prompts (2)' "its prompts"
    keys a
    await 'Add a training prompt' "a adds one"
    type_text 'half a prom'
    keys Escape
    gone 'Add a training prompt' "Esc"
    keys a
    await 'half a prom' "what was typed is there again"
    type_text pt
    keys Enter
    await 'training prompts (3)' "and is added"
    keys G Space
    await 'training prompts (2 of 3)' "unticked it stays in the list"
    await '· half a prompt' "without its tick"
    keys G Space
    await 'training prompts (3)' "ticked again"
    keys m
    await 'held-out prompts (3)' "m moves one"
    keys u
    await 'held-out prompts (2)' "u moves it back"
}

# ---- a busy device ----

starting_anyway() {
    only tiny-other
    keys Enter
    await 'The device is busy' "the device is busy"
    keys r
    await 'tiny-other.*● running' "r runs it anyway"
    look_until at_step 3 || give_up "it does not go on"
    keys X
    await 'Stop the run' "X asks"
    keys s
    await '● stopped' "stopped"
}

resuming_on_a_busy_device() {
    only tiny-long # another preset than the run that is to go on
    keys e
    await 'tiny-long' "its settings"
    keys 9
    await 'stopped' "the runs"
    keys /
    await "$filter_field" "a filter"
    type_text stopped
    keys Enter
    await 'Filter: stopped (Esc' "the stopped one"
    keys r
    await 'The device is busy' "it cannot be resumed at once"
    keys w
    await 'tiny-other.*● waiting' "the run that was asked for is queued"
    [ "$(ls -d "$runs"/* | wc -l)" = 2 ] || give_up "another run has been started"
}

window hands
for each in starting sliding clicking scrolling looking_at_settings keeping_edits starting_anyway resuming_on_a_busy_device; do
    part $each
done
exit $failed
