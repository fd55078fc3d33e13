#!/bin/sh
# Twenty seeded disturbances of each kind on the engine's side: clients that die, sleep and lie; engines killed at random
# moments and resumed. Run once from a build folder: sh ../tests/soak/engine.sh
# The suite does the same twice (tests/e2e/test_live.c).
exec "${BUILD:-.}/tests/e2e/test_live" "$(realpath "${BUILD:-.}/alignprop")" "${ROUNDS:-20}"
