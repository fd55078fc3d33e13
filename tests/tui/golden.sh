#!/bin/sh
# Text screens of the studio against golden files, drawn by tmux from a reproducible feed.
# Usage: golden.sh DRIVER FAKE_ENGINE CATALOGUE GOLDEN_FOLDER ; UPDATE=1 writes the golden files anew.
set -u
driver=$1 engine=$2 catalogue=$3 golden=$4
work=$(mktemp -d) || exit 1
tmux="tmux -L studio-golden-$$ -f /dev/null"
cleanup() { $tmux kill-server 2>/dev/null; kill "$feed" 2>/dev/null; rm -rf "$work"; }
trap cleanup EXIT INT TERM
failed=0

feed() { # feed STEP
    [ -n "${feed:-}" ] && kill "$feed" 2>/dev/null && wait "$feed" 2>/dev/null
    rm -rf "$work/sock" "$work/run"
    "$engine" "$catalogue" "$work/sock" "$work/run" --step "$1" & feed=$!
    tries=0
    while [ ! -S "$work/sock" ] && [ $tries -lt 100 ]; do sleep 0.05; tries=$((tries + 1)); done
}

stable() { # waits until the screen has stood still for two looks
    last= ; same=0; tries=0
    while [ $same -lt 2 ] && [ $tries -lt 60 ]; do
        sleep 0.12
        now=$($tmux capture-pane -e -p | cksum)
        if [ "$now" = "$last" ]; then same=$((same + 1)); else same=0; fi
        last=$now tries=$((tries + 1))
    done
}

# screen NAME COLUMNS ROWS WORDS KEYS...: NAME.txt has the screen with its attributes after the keys
screen() {
    name=$1 columns=$2 rows=$3 words=$4
    shift 4
    $tmux new-session -d -x "$columns" -y "$rows" \
        "env TERM=tmux-256color LC_ALL=C.UTF-8 ALIGNPROP_CLOCK=1795424500 TZ=UTC $driver studio --fixed-link --engine $work/sock $words 2>$work/errors"
    $tmux set-option -g status off >/dev/null
    stable
    for key in "$@"; do
        $tmux send-keys "$key"
        stable
    done
    $tmux capture-pane -e -p | sed "s#$work#/work#g" | sed "s#/work/run *#/work/run#" >"$work/screen"
    $tmux kill-server 2>/dev/null
    while $tmux has-session 2>/dev/null; do sleep 0.05; done
    if [ "${UPDATE:-}" = 1 ]; then
        cp "$work/screen" "$golden/$name.txt"
    elif ! cmp -s "$work/screen" "$golden/$name.txt"; then
        echo "$name differs from $golden/$name.txt:"
        diff "$golden/$name.txt" "$work/screen" | head -20
        failed=1
    fi
}

attach="--socket $work/sock"
feed 40
for size in "80 24" "120 40" "200 60"; do
    set -- $size
    at="$1x$2" c=$1 r=$2
    screen "home-$at" $c $r "" h
    screen "tune-$at" $c $r "$attach --pictures none"
    screen "edit-$at" $c $r "" h g e Down Right
    screen "rewards-$at" $c $r "$attach" 3
    screen "prompts-$at" $c $r "$attach --pictures none" 4
    screen "timeline-$at" $c $r "$attach --pictures none" 5 Left
    screen "grid-$at" $c $r "$attach --pictures none" 6 Right Down
    screen "compare-$at" $c $r "" h g Space Down Space 7
    screen "mixer-$at" $c $r "--pictures none" h 8 Left
    screen "runs-$at" $c $r "" h 9
    screen "log-$at" $c $r "$attach" 0
    # errors
    screen "missing-model-$at" $c $r "" h g Down Down Down Enter
    screen "broken-preset-$at" $c $r "" h G Enter
    screen "does-not-fit-$at" $c $r "" h g e / b a t c h Enter g Enter C-u 6 4 Enter
    screen "bad-value-$at" $c $r "$attach --pictures none" = C-u x Enter
done
screen tune-symbols-80x24 80 24 "$attach --pictures symbols"
screen help-80x24 80 24 "$attach --pictures none" '?'
screen palette-80x24 80 24 "$attach --pictures none" : s a
screen filter-80x24 80 24 "" h / c l
screen leave-80x24 80 24 "$attach --pictures none" q
screen export-80x24 80 24 "$attach --pictures none" E
feed 0
for size in "80 24" "120 40" "200 60"; do
    set -- $size
    at="$1x$2" c=$1 r=$2
    screen "tune-empty-$at" $c $r "$attach --pictures none"
    screen "timeline-empty-$at" $c $r "$attach --pictures none" 5
    screen "grid-empty-$at" $c $r "$attach --pictures none" 6
    screen "compare-empty-$at" $c $r "" h 7
done
exit $failed
