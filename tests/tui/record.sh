#!/bin/sh
# Records a session of the real program for golden.sh: a run of the default model from its first step to its end, and what
# an engine without a run answers to the requests that the golden screens make.
# Usage: record.sh PROGRAM DRIVER RECORDER REPLAYER OUT ; a few minutes.
set -eu
program=$1 driver=$2 recorder=$3 replayer=$4 out=$5
here=$(cd "$(dirname "$0")" && pwd) source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
desk= engine=
trap 'kill $desk $engine 2>/dev/null || true; wait; rm -rf "$work"' EXIT
mkdir -m 700 "$work/runtime"
export XDG_RUNTIME_DIR="$work/runtime" XDG_DATA_HOME="$work/data" XDG_STATE_HOME="$work/state"
export XDG_CONFIG_HOME="$work/config" HF_HOME="$work/hf" LC_ALL=C.UTF-8 TZ=UTC
presets="$work/config/alignprop/presets"
mkdir -p "$presets"

# A preset of one's own, with wide and combining characters, and one whose file is wrong.
cat >"$presets/vivid-pairs.json" <<'PRESET'
{"schema": 1, "name": "vivid-pairs", "notes": "vivid colours, both halves alike · 鮮やかな色 · cafe\u0301",
 "model": "emoji",
 "prompts": {"train": ["one cat on a blue background", "two dogs on a green background", "three frogs on a pink background",
                       "four bees on a white background", "一匹の猫 one cat on a teal background", "two owls on a grey background"],
             "eval": ["two cats on a red background", "one dog on a blue background", "four rabbits on a red background",
                      "two bears on a teal background"]},
 "rewards": [{"name": "colorfulness", "id": "vivid", "weight": 0.02}, {"name": "symmetry", "weight": 2.0}],
 "sampler": {"steps": 10, "guidance": 4.0}, "backprop": {"method": "last-k", "k": 2},
 "batch": 4, "steps": 48, "checkpoint": {"every": 10, "keep": 5}, "sample": {"every": 5, "count": 4}}
PRESET
echo '{"schema": 1, "name": "zz-broken", "lora": {"rank": 0}}' >"$presets/zz-broken.json"

socket_of() { sed -n 's/.*"socket": *"\([^"]*\)".*/\1/p' "$1/engine.json"; }
replace="--replace $work/data/alignprop/runs/vivid-pairs /recorded/run --replace $work /recorded/home --replace $source /source"

"$program" tune emoji-gentle-start --steps 5 --run "$work/data/alignprop/runs/earlier" --quiet
run="$work/data/alignprop/runs/vivid-pairs"
"$program" tune vivid-pairs --run "$run" --detach --quiet >"$work/started"
"$recorder" run "$work/run.recording" "$(socket_of "$run")" --state-at 40 $replace

"$program" engine & engine=$!
while [ ! -S "$work/runtime/alignprop/engine.sock" ]; do sleep 0.1; done
sleep 100 # it plans the presets while nobody asks
"$recorder" desk "$work/desk.recording" "$work/runtime/alignprop/engine.sock" "$work/desk" $replace & desk=$!
while [ ! -S "$work/desk" ]; do sleep 0.1; done
DESK="$work/desk" SIZES=80x24 PAUSE=0.8 TRIES=300 "$here/golden.sh" "$driver" "$replayer" "$work/run.recording" "$work" >/dev/null || true
kill $desk
wait $desk || true
cat "$work/run.recording" "$work/desk.recording" >"$out" # members of one compressed file
ls -l "$out"
