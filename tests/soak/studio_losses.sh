#!/bin/sh
# Twenty seeded disturbances of each kind around the studio: it is killed, its terminal hangs up or stops reading, the engine
# is killed, the disk fills. Run once from a build folder: sh ../tests/soak/studio_losses.sh [ROUNDS [MODEL]]
# The suite does the same twice with a tiny model (tests/tui/test_real_engine.c); this takes the default one.
exec "${BUILD:-.}/tests/tui/test_studio_real_engine" "$(realpath "${BUILD:-.}/alignprop")" "${1:-20}" \
    "${2:-$(cd "$(dirname "$0")/../.." && pwd)/presets/models/emoji}"
