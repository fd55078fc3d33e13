#!/bin/sh
# The studio's benchmark from a build folder, with the machine it ran on: sh ../tests/bench/studio.sh [PRESET [KEYS]]
# The report goes to standard output; kept ones stand in results/.
set -u
build=$(realpath "${BUILD:-.}")
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT INT TERM
export XDG_CONFIG_HOME="$work/config" XDG_DATA_HOME="$work/data" XDG_STATE_HOME="$work/state" HF_HOME="$work/hf"
export XDG_RUNTIME_DIR="$work/runtime"
mkdir -m 700 "$work/runtime"
"$build/tests/bench/bench_studio" "$build/alignprop" "$build/tests/bench/bench_echo" "${1:-emoji-small-files}" "${2:-200}" \
    >"$work/report" || exit 1
printf '{"date": "%s", "commit": "%s", "processor": "%s", "cores": %s,\n "measured": ' "$(date -u +%F)" \
    "$(git -C "$source" rev-parse --short HEAD)" "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)" "$(nproc)"
cat "$work/report"
echo '}'
