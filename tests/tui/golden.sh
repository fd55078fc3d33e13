#!/bin/sh
# Text screens of the studio, with their attributes, against golden files: drawn by tmux, fed by a recorded real session
# under the recording's clock. The recording and the golden files are made anew by:
#   record.sh build/alignprop build/tests/tui/studio_driver build/tests/tui/record_session build/tests/tui/replay_engine \
#       tests/tui/session.recording
#   UPDATE=1 golden.sh build/tests/tui/marked_driver build/tests/tui/replay_engine tests/tui/session.recording tests/tui/golden
# Usage: golden.sh DRIVER REPLAYER RECORDING GOLDEN_FOLDER
set -u
here=$(cd "$(dirname "$0")" && pwd)
driver=$1 replayer=$2 recording=$3 golden=$4
work=$(mktemp -d) || exit 1
export TMUX_TMPDIR="$work" # where its sockets are
feed= desk_feed= groups= started= number=0
cleanup() {
    kill $started $feed $desk_feed 2>/dev/null
    wait 2>/dev/null
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
failed=0

await() { # SOCKET
    tries=0
    while [ ! -S "$1" ] && [ $tries -lt 200 ]; do sleep 0.05; tries=$((tries + 1)); done
}

feed() { # STEP WORDS... : the run as it was in the step after STEP
    [ -n "$feed" ] && kill "$feed" 2>/dev/null && wait "$feed" 2>/dev/null
    rm -rf "$work/sock" "$work/run"
    clock=$("$replayer" "$recording" --clock "$1")
    step=$1
    shift
    "$replayer" "$recording" "$work/sock" "$work/run" --until "$step" "$@" & feed=$!
    await "$work/sock"
}

# The screen is empty, an answer is on its way, or the studio waits for the processor.
unfinished() {
    ! grep -q '[a-z]' "$own/look" || grep -q 'Redrawing\|Drawing \|Estimating\|onnecting\|Reading the' "$own/look" ||
        sed 's/.*) \(.\).*/\1/' "/proc/$($tmux display -p '#{pane_pid}')/task/"*/stat 2>/dev/null | grep -q R
}
stable() { # waits until the screen has stood still for two looks
    last= ; same=0; tries=0
    while [ $same -lt 2 ] && [ $tries -lt ${TRIES:-100} ]; do
        sleep ${PAUSE:-0.12}
        now=$($tmux capture-pane -e -p | tee "$own/look" | cksum)
        unfinished && now=$tries
        if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
        last=$now tries=$((tries + 1))
    done
}

# Another screen changes no golden file: of the tabs in the second row only the present one is kept, once the names of all
# are found to be those of screens.def, and of the help's length only that it has one.
tabs=$(sed -n 's/^SCREEN_TAB([A-Z]*, [a-z]*, "\([^ "]*\)[^"]*", "\([a-z]*\)".*/ \1 \2/p' "$here/../../tui/screens.def" | tr -d '\n')
independent_of_screens() {
    awk -v tabs="$tabs" -v columns="$columns" '
        NR == 2 {
            plain = $0
            gsub(/\033\[[0-9;]*m/, "", plain)
            expected = length(tabs) <= columns ? tabs : substr(tabs, 1, columns - 1)
            present = match($0, /\033\[0;1[0-9;]*m[0-9a-z]+ [a-z]+/) ? substr($0, RSTART, RLENGTH) : ""
            print index(plain, expected) == 1 ? "tabs: " present : "these are not the tabs: " $0
            next
        }
        { sub(/ of [0-9]+ .*\342\225\257/, " of all&"); sub(/ of all of [0-9]+ /, " of all ") }
        { print }'
}

# screen NAME COLUMNS ROWS WORDS KEYS...: NAME.txt has the screen with its attributes after the keys
screen() {
    name=$1 columns=$2 rows=$3 words=$4
    shift 4
    case $words in *--pictures*) ;; *) words="$words --pictures symbols" ;; esac # some versions of tmux have sixels
    number=$((number + 1)) # a server that ends might take the next one's socket with it
    tmux="tmux -L studio-golden-$$-$group-$number -f /dev/null"
    $tmux new-session -d -x "$columns" -y "$rows" \
        "exec env TERM=tmux-256color LC_ALL=C.UTF-8 ALIGNPROP_CLOCK=$clock TZ=UTC $environment $driver studio --fixed-link --engine $desk $words 2>$own/errors"
    $tmux set-option -g status off >/dev/null
    stable
    for key in "$@"; do
        $tmux send-keys "$key"
        stable
    done
    $tmux capture-pane -e -p | sed "s#$work#/scratch#g" | sed "s#/scratch/run *#/scratch/run#" |
        awk -f "$here/attributes.awk" | independent_of_screens >"$own/screen"
    $tmux kill-server 2>/dev/null
    if [ "${UPDATE:-}" = 1 ]; then
        cp "$own/screen" "$golden/$name.txt"
    elif ! cmp -s "$own/screen" "$golden/$name.txt"; then
        echo "$name differs from $golden/$name.txt:"
        diff "$golden/$name.txt" "$own/screen" | head -20
        failed=1
    fi
}

desk=${DESK:-$work/desk}
if [ -z "${DESK:-}" ]; then
    "$replayer" "$recording" "$desk" "$work/run" --desk & desk_feed=$!
    await "$desk"
fi
environment=
run="--socket $work/sock"
sizes=${SIZES:-80x24 120x40 200x60}

# The screens of a group follow each other; groups wait for their screens at the same time.
start_group() { # NAME FUNCTION WORDS...
    group=$1 own=$work/$1 groups="$groups $1"
    mkdir -p "$own"
    shift
    (
        failed=0 tmux=true
        trap '$tmux kill-server 2>/dev/null' EXIT
        trap 'exit 1' INT TERM
        "$@"
        exit $failed
    ) >"$own/log" 2>&1 & started="$started $!"
    [ -z "${DESK:-}" ] || wait $! # a recorder serves one studio at a time
}
end_groups() {
    for process in $started; do wait "$process" || failed=1; done
    for group in $groups; do cat "$work/$group/log"; done
    started= groups=
}
at_each_size() { # FUNCTION, called with the size, the columns and the rows
    for at in $sizes; do start_group "$at" "$1" "$at" "${at%x*}" "${at#*x}"; done
}

screens_of_a_run() {
    at=$1 c=$2 r=$3
    screen "home-$at" $c $r "--pictures none"
    screen "tune-$at" $c $r "$run --pictures none"
    screen "edit-$at" $c $r "" g e Down Right
    screen "rewards-$at" $c $r "$run" 3
    screen "prompts-$at" $c $r "$run --pictures none" 4
    screen "prompts-of-file-$at" $c $r "" g Down e 4
    screen "timeline-$at" $c $r "$run --pictures none" 5 Left
    screen "grid-$at" $c $r "$run --pictures none" 6 Right Down
    screen "compare-$at" $c $r "" g Space Down Space 7
    screen "mixer-$at" $c $r "--pictures none" 8 Left
    screen "runs-$at" $c $r "" 9
    screen "log-$at" $c $r "$run" 0
    # errors
    screen "missing-model-$at" $c $r "" / s d 1 5 Enter Enter
    screen "broken-preset-$at" $c $r "" G Enter
    screen "does-not-fit-$at" $c $r "" g e / l i m i t Enter g Enter C-u 5 0 Space M i B Enter
    screen "bad-setting-$at" $c $r "" g e / l i m i t Enter g Enter C-u 1 e 3 Enter
    screen "bad-value-$at" $c $r "$run --pictures none" = C-u x Enter
}
screens_of_one_size() {
    screen tune-symbols-80x24 80 24 "$run --pictures symbols"
    screen help-80x24 80 24 "$run --pictures none" '?'
    screen palette-80x24 80 24 "$run --pictures none" : s a
    screen filter-80x24 80 24 "" / c l
    screen leave-80x24 80 24 "$run --pictures none" q
    screen export-80x24 80 24 "$run --pictures none" E
    screen prompts-empty-80x24 80 24 "" 4
    screen rewards-empty-80x24 80 24 "" 3
    environment=NO_COLOR=1
    screen tune-no-color-80x24 80 24 "$run --pictures symbols"
}
feed 40
at_each_size screens_of_a_run
start_group "one-size" screens_of_one_size
end_groups

screens_of_an_empty_run() {
    at=$1 c=$2 r=$3
    screen "tune-empty-$at" $c $r "$run --pictures none"
    screen "timeline-empty-$at" $c $r "$run --pictures none" 5
    screen "grid-empty-$at" $c $r "$run --pictures none" 6
    screen "compare-empty-$at" $c $r "" 7
}
feed 0
at_each_size screens_of_an_empty_run
end_groups

# The engine dies: its last words, and what can be done.
screens_of_a_lost_run() { screen "tune-lost-$1" "$2" "$3" "$run --pictures none"; }
feed 40 --lose
at_each_size screens_of_a_lost_run
end_groups

# Who attaches sees what who has watched from the start sees.
screens_of_who_attaches() {
    screen "tune-$1" "$2" "$3" "$run --pictures none"
    screen "timeline-$1" "$2" "$3" "$run --pictures none" 5 Left
}
feed 40 --attach
UPDATE=
at_each_size screens_of_who_attaches
end_groups
exit $failed
