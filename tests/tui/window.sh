# A studio in a window of a real terminal under Xvfb, for pictures.sh and walk.sh, which source this.
# $1: xterm, mlterm, kitty, foot (in a Wayland compositor inside Xvfb), tmux (inside xterm) or tmux-passthrough (the same,
# handing pictures on, with another pane above the studio's; a tmux that was built with sixels, as Debian 13's 3.5a, keeps
# them itself there, and shows the cursor for a moment behind each one that it draws). $2 $3 $4: the driver, the fake
# engine, its catalogue.
# Exit 77 where the terminal cannot run, with the reason; xterm and tmux always can.
set -u
terminal=$1 driver=$2 engine=$3 catalogue=$4
absent() { echo "$*"; case $terminal in xterm | tmux*) exit 1 ;; *) exit 77 ;; esac; }
case $terminal in tmux*) needed="xterm tmux" ;; foot) needed="foot weston" ;; *) needed=$terminal ;; esac
missing=
for program in Xvfb xdotool import convert compare $needed; do
    command -v "$program" >/dev/null || missing="${missing:+$missing, }$program"
done
[ -z "$missing" ] || absent "needs $missing"
work=$(mktemp -d) || exit 1
unset TMUX STY NO_COLOR
export LC_ALL=C.UTF-8 TZ=UTC LIBGL_ALWAYS_SOFTWARE=1
export ALIGNPROP_CLOCK="${ALIGNPROP_CLOCK-1795424500}"
server= window_process= feed= compositor=
cleanup() {
    kill -CONT "$feed" 2>/dev/null
    case $terminal in tmux*) tmux -L "studio-window-$$" kill-server 2>/dev/null ;; esac
    kill $window_process $compositor $feed $server 2>/dev/null
    wait 2>/dev/null
    [ -n "${KEEP:-}" ] && cp "$work"/*.png "$KEEP"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
failed=0
fail() { echo "$terminal: $*"; failed=1; }

# The server chooses a free number and writes it when it listens. Of two that start at once one may lose its number.
start_display() {
    for attempt in 1 2 3; do
        : >"$work/display"
        Xvfb -displayfd 3 -screen 0 1300x900x24 -nolisten tcp 3>"$work/display" >"$work/Xvfb.log" 2>&1 & server=$!
        tries=0
        while kill -0 "$server" 2>/dev/null && [ $tries -lt 200 ]; do
            if read -r number <"$work/display"; then
                export DISPLAY=":$number"
                return
            fi
            sleep 0.1
            tries=$((tries + 1))
        done
        kill "$server" 2>/dev/null
        wait "$server" 2>/dev/null
    done
    absent "Xvfb does not start: $(tail -1 "$work/Xvfb.log")"
}
start_display
case $terminal in
xterm | tmux*) [ -n "$(xlsfonts -fn 8x13 2>/dev/null)" ] || absent "the X server has no font 8x13 (Debian: xfonts-base)" ;;
esac

start_feed() { # words for the fake engine
    "$engine" "$catalogue" "$work/sock" "$work/run" "$@" & feed=$!
    while [ ! -S "$work/sock" ]; do sleep 0.05; done
}

xterm_shows() {
    xterm -ti vt340 -tn xterm-256color -xrm 'xterm*numColorRegisters: 256' -xrm 'xterm*cursorBlink: false' \
        -bg "${BACKGROUND:-black}" -fg "${FOREGROUND:-gray85}" -fn 8x13 -geometry 100x36+0+0 -e "$@" &
}

start_compositor() {
    export XDG_RUNTIME_DIR="$work/wayland" WAYLAND_DISPLAY=studio
    mkdir -m 700 "$XDG_RUNTIME_DIR"
    weston --backend=x11-backend.so --use-pixman --width=1000 --height=700 --socket=studio --idle-time=0 \
        --shell=kiosk-shell.so >"$work/weston.log" 2>&1 & compositor=$!
    tries=0
    while [ ! -S "$XDG_RUNTIME_DIR/studio" ] && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
    [ -S "$XDG_RUNTIME_DIR/studio" ] || absent "foot: weston does not start"
}

# Opens the terminal on the studio; `window` is its X window.
open_window() { # words for the studio
    command="$driver studio --fixed-link --engine $work/sock --socket $work/sock $*"
    class=$terminal owner=
    case $terminal in
    xterm) xterm_shows $command ;;
    tmux)
        xterm_shows tmux -L "studio-window-$$" -f /dev/null new-session "env TERM=tmux-256color $command" \; \
            set-option -g status off
        class=xterm ;;
    tmux-passthrough)
        xterm_shows tmux -L "studio-window-$$" -f /dev/null new-session -n studio "cat" \; \
            set-option -g allow-passthrough on \; set-option -g status-position top \; set-option -g status-right '' \; \
            split-window -l 30 "env TERM=tmux-256color $command --pictures sixel"
        class=xterm ;;
    mlterm) mlterm --geometry=100x36+0+0 --term=xterm-256color -e $command & ;;
    kitty)
        kitty --config NONE -o confirm_os_window_close=0 -o remember_window_size=no -o initial_window_width=900 \
            -o initial_window_height=620 -o cursor_blink_interval=0 $command >/dev/null 2>&1 & ;;
    foot)
        start_compositor
        foot --config=/dev/null -o cursor.blink=no -o csd.preferred=none -o tweak.render-timer=none $command \
            >"$work/foot.log" 2>&1 &
        owner=$compositor class=weston ;;
    esac
    window_process=$!
    tries=0 window=
    while [ -z "$window" ] && [ $tries -lt 200 ] && kill -0 "$window_process" 2>/dev/null; do
        sleep 0.1
        window=$(xdotool search --onlyvisible --pid "${owner:-$window_process}" 2>/dev/null | tail -1)
        [ -z "$window" ] && window=$(xdotool search --onlyvisible --class "$class" 2>/dev/null | tail -1)
        tries=$((tries + 1))
    done
    [ -n "$window" ] || absent "$terminal opened no window"
    xdotool mousemove 1290 890 windowfocus "$window" 2>/dev/null
}

shot() { import -window root "$work/$1.png"; }
# How often each thread of the display, the terminal, the studio and its engine has run, and which wait for the processor.
stirrings() {
    for process in $server $compositor $(grep -lsa "$work/sock" /proc/[0-9]*/cmdline | cut -d / -f 3); do
        cat "/proc/$process/task/"*/schedstat
        sed 's/.*) \(.\).*/\1/' "/proc/$process/task/"*/stat
    done 2>/dev/null
}
# Waits until two shots are equal and nothing has run in between, nor wanted to: a busy machine pauses in the middle of a
# picture. Where something runs all the time five equal shots have to do.
settle() {
    last= equal=0 tries=0
    while [ $tries -lt 60 ]; do
        before=$(stirrings)
        sleep 0.25
        after=$(stirrings)
        now=$(import -window root rgb:- | cksum)
        if [ "$now" = "$last" ]; then equal=$((equal + 1)); else equal=0; fi
        case $after in *R*) rested= ;; "$before") rested=yes ;; *) rested= ;; esac
        [ $equal -ge 1 ] && [ -n "$rested" ] && return
        [ $equal -ge 4 ] && return
        last=$now tries=$((tries + 1))
    done
}
send() { xdotool key --clearmodifiers "$@"; }
press() { for key in "$@"; do send "$key"; sleep 0.1; done; settle; }
# Pixels of the picture's red ground, which nothing else on the screen has.
red() { convert "$work/$1.png" -fuzz 10% -fill black +opaque 'rgb(190,56,56)' -fuzz 0 -fill white +opaque black -format '%[fx:int(mean*w*h+0.5)]' info:; }
differing() { compare -metric AE "$work/$1.png" "$work/$2.png" null: 2>&1 | cut -d' ' -f1; }
# mlterm lets the edge of a letter reach into the next cell and does not always clean it: a few pixels are its own. A tmux
# that keeps sixels itself shows the cursor behind each picture it draws (its tty_invalidate) and hides it again; where xterm
# gets to drawing it in between, its cell of the picture is blank until the picture is next drawn: up to two cells of 8x13
# pixels are theirs.
allowed_pixels() {
    case $terminal in
    mlterm) echo 12 ;;
    tmux*) case $(tmux -L "studio-window-$$" list-clients -F '#{client_termfeatures}' 2>/dev/null) in *sixel*) echo 208 ;; *) echo 0 ;; esac ;;
    *) echo 0 ;;
    esac
}
same() { # shot, shot, words
    difference=$(differing "$1" "$2")
    [ "${difference%%.*}" -le "$(allowed_pixels)" ] || fail "$3: $difference pixels differ"
}
