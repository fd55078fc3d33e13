#!/bin/sh
# A walk of 500 steps in each terminal, every 25th checked to the pixel against a repaint. Run once from a build folder:
# sh ../tests/soak/studio_walks.sh [STEPS [SEED]]; the suite walks 50 (tests/tui/walk.sh).
here=$(cd "$(dirname "$0")" && pwd)
build=$(realpath "${BUILD:-.}")
failed=0
for terminal in xterm mlterm kitty foot tmux tmux-passthrough; do
    sh "$here/../tui/walk.sh" "$terminal" "$build/tests/tui/studio_driver" "$build/tests/tui/fake_engine" \
        "$here/../tui/catalogue.json" "${1:-500}" "${2:-1}"
    result=$?
    echo "$terminal: $result"
    [ $result = 0 ] || [ $result = 77 ] || failed=1
done
exit $failed
