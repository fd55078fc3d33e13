#!/bin/sh
# Pictures of pixels in a real terminal under Xvfb: there when they should be, gone when they should be, and the same after
# a popup, a resize and a repaint. Complaints 1, 2 and 14 of the list of what terminal programs get wrong.
# Usage: pictures.sh TERMINAL DRIVER FAKE_ENGINE CATALOGUE ; window.sh says which terminals.
. "$(dirname "$0")/window.sh"
start_feed --step 40
open_window --no-mouse
looks=0 count=0
while [ "$count" -lt 15000 ] && [ $looks -lt 8 ]; do # a terminal may take a while to draw at all
    settle; shot first
    count=$(red first) looks=$((looks + 1))
done
[ "$count" -gt 15000 ] || fail "no picture: $count red pixels"
press question; shot popup
count=$(red popup)
[ "$count" -lt 200 ] || fail "complaint 2: $count red pixels stay around the help"
press Escape; shot closed; same first closed "complaint 2: after the help was closed"
press colon s a m; press Escape; shot palette; same first palette "after the palette was closed"
press ctrl+l; shot repainted; same first repainted "after a repaint"
press 1; shot home
count=$(red home)
[ "$count" -lt 200 ] || fail "complaint 2: $count red pixels stay on another screen"
press 2; shot back; same first back "after another screen"
press b; shot base
[ "$(differing first base)" -gt 500 ] || fail "the base model's picture does not come"
press b; shot tuned; same first tuned "after base and tuned"
press z; shot large; press z; shot small; same first small "after enlarging"
if [ "$terminal" = xterm ]; then
    xdotool windowsize --usehints "$window" 90 30; settle
    xdotool windowsize --usehints "$window" 100 36; settle; shot resized; same first resized "after resizing"
    press shift+KP_Subtract; shot lettered; press ctrl+l; shot fresh; same lettered fresh "with a smaller font"
    count=$(red lettered)
    [ "$count" -gt 3000 ] || fail "no picture with a smaller font: $count red pixels"
    [ "$(differing first lettered)" -gt 5000 ] || fail "the font's size does not change"
    press shift+KP_Add; shot again; same first again "with the font of the start"
fi
exit $failed
