#!/bin/sh
# A random walk of keys, popups, resizes and frames in a real terminal: every 25th step the engine is frozen, and the
# screen must be, to the pixel, what a repaint makes of it. Complaints 1, 2 and 3 of the list of what terminal programs get
# wrong. Usage: walk.sh TERMINAL DRIVER FAKE_ENGINE CATALOGUE [STEPS [SEED]]
. "$(dirname "$0")/window.sh"
steps=${5:-50} state=${6:-1}
draw() { # sets `drawn` to a number below $1
    state=$(((state * 1103515245 + 12345) % 2147483648))
    drawn=$((state / 65536 % $1))
}
pick() { # sets `picked` to one of the words
    draw $#
    shift $drawn
    picked=$1
}
resize() {
    case $terminal in
    xterm | tmux*)
        pick "100 36" "80 24" "120 40" "90 30" "60 20"
        xdotool windowsize --usehints "$window" $picked ;;
    mlterm | kitty)
        pick "900 620" "700 480" "1100 760" "800 500"
        xdotool windowsize "$window" $picked ;;
    foot) pick ctrl+plus ctrl+minus ctrl+0; send "$picked" ;;
    esac
}
step() {
    draw 100
    if [ "$drawn" -lt 72 ]; then
        pick 1 2 2 2 3 4 5 6 7 8 9 0 Left Right Up Down h j k l Prior Next g shift+g Tab Return Return Escape Escape b \
            shift+b v n z x o s p shift+s u e t space shift+m
        send "$picked"
    elif [ "$drawn" -lt 95 ]; then # popups, and what is typed into them
        pick "question" "question j j" "question Escape" "colon" "colon s a" "colon Escape" "slash c a" "slash Escape" \
            "equal 0 period 7 Return" "equal Escape" "shift+l Escape" "shift+w Escape" "a o n e Escape"
        send $picked
    else
        resize
    fi
}

start_feed --every 2000 --steps 100000
open_window --no-mouse
settle
walked=0
while [ "$walked" -lt "$steps" ]; do
    # Every other look finds the walk near the pictures of the run.
    if [ $((walked % 50)) = 18 ]; then send Escape; sleep 0.1; send Escape; sleep 0.1; send 2; else step; fi
    sleep 0.06
    walked=$((walked + 1))
    [ $((walked % 25)) = 0 ] || continue
    kill -0 "$window_process" 2>/dev/null || { fail "the studio left by step $walked"; break; }
    kill -STOP "$feed"
    settle; shot "walked$walked"
    press ctrl+l; shot "fresh$walked"
    same "walked$walked" "fresh$walked" "step $walked of the walk with seed ${6:-1} against a repaint"
    kill -CONT "$feed"
done
exit $failed
