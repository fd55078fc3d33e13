#!/bin/sh
# What is checked, what is sealed: a preset that is found good runs from any folder, and a run goes on with what it began with.
. "$(dirname "$0")/common.sh"
small_preset small
case $program in /*) ;; *) program=$PWD/$program ;; esac # it is called from several folders

# Check and tune agree: what tuning refuses is not found good.
agree() { # words, then the arguments of both
    words=$1
    shift
    run presets check "$@"
    check "check refuses $words" is "$code" 3
    checked=$err
    run tune "$@" --run "$work/refused" --quiet
    check "and tune does" is "$code" 3
    check "with the same words" is "$err" "$(printf '%s\n' "$checked" | grep -v '^warning: ')"
    check "and leaves no folder" test ! -e "$work/refused"
}
set -- "$work/small.json" --quiet
agree "a method that is none" "$@" --set backprop.method=ddpo
check "naming those there are" has "$err" 'one of "alignprop", "full"'
agree "noise for a sampler without" "$@" --set sampler.name=euler --set sampler.eta=0.5
check "naming the file and the key" has "$err" "small.json: sampler.eta: 0.5; euler takes only 0"
agree "more steps than the model has" "$@" --set sampler.steps=1000 --set backprop.max=1000
agree "a reward model that is not there" "$@" --set 'rewards=[{"name":"clip","params":{"model":"/nonexistent/clip"}}]'
check "naming the file and the key" has "$err" "small.json: rewards.clip.params.model: /nonexistent/clip"
agree "a reward that is none" "$@" --set 'rewards=[{"name":"brightnes"}]'
check "naming the file" has "$err" "small.json: rewards: there is no reward"
agree "a value that the reward does not take" "$@" --set 'rewards=[{"name":"jpeg","params":{"quality":101}}]'
agree "a clip beyond its range" "$@" --set optimizer.clip=1e10
run presets check "$@" --set memory.limit=1MiB
check "a limit that cannot be kept is told" is "$code" 4

# Paths are relative to the preset's file, whatever folder the program is called in.
mkdir -p "$work/desk/models" "$work/elsewhere"
cp -r "$source/tests/golden/config/deep-sharded" "$work/desk/models/mine"
chmod -R u+w "$work/desk"
printf 'a cat\na dog\n' >"$work/desk/train.txt"
sed 's|"model": "[^"]*"|"model": "models/mine"|; s|"train": \[[^]]*\]|"train_file": "train.txt"|; s|"steps": 6|"steps": 2|' \
    "$work/small.json" >"$work/desk/mine.json"
cd "$work/elsewhere" || exit 1
run presets check "$work/desk/mine.json"
check "a path beside the preset is found from another folder" is "$code" 0
run tune "$work/desk/mine.json" --run "$work/mine" --threads 1 --quiet
check "and is tuned with" is "$code" 0
check "which the run notes as a path that holds anywhere" has "$(cat "$work/mine/preset.json")" "\"$work/desk/models/mine\""
cd "$work" || exit 1
run resume "$work/mine" --steps 3 --quiet
check "so that it goes on from another" is "$code" 0
run sample --run "$work/mine" --prompt "a cat" --steps 1 -o "$work/mine.png"
check "and gives pictures" is "$code" 0
check "without a warning" is "$(printf '%s\n' "$err" | grep -c warning)" 0
sed 's|"models/mine"|"desk/models/mine"|; s|"train.txt"|"desk/train.txt"|' "$work/desk/mine.json" >"$work/desk/theirs.json"
run presets check "$work/desk/theirs.json"
check "what only the current folder has is taken" is "$code" 0
check "with a warning for the model" has "$err" "model: desk/models/mine is not beside the preset's file"
check "and one for the prompts" has "$err" "prompts.train_file: desk/train.txt is not beside the preset's file"
run presets check "$work/desk/mine.json" --set model=desk/models/mine
check "a path on the command line is relative to the current folder" is "$code$(printf '%s' "$err" | grep -c beside)" 00

sed 's|"models/mine"|"mine"|' "$work/desk/mine.json" >"$work/desk/named.json"
cd "$work/desk" || exit 1
run tune named.json --model-path models --steps 1 --run "$work/named" --quiet
cd "$work" || exit 1
check "a name of --model-path is a path in the run" has "$(cat "$work/named/preset.json")" "\"$work/desk/models/mine\""
run resume "$work/named" --steps 2 --quiet
check "which goes on without it" is "$code" 0

# Other weights at the model's path.
unet=$work/desk/models/mine/unet/diffusion_pytorch_model-00001-of-00002.safetensors
cp "$unet" "$work/unet"
size=$(wc -c <"$unet")
last=$(tail -c 4 "$unet" | od -An -t u1 | tr -s ' ' '\n' | sed -n 2p)
printf "\\$(printf '%03o' $(((last + 1) % 256)))" | dd of="$unet" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
check "the weights are others" test -n "$(cmp "$unet" "$work/unet")"
run resume "$work/mine" --steps 4 --quiet
check "other weights are noticed" is "$code" 3
check "and it is said which and what to do" has "$err" "model: the weights of $work/desk/models/mine are not those"
check "and how to accept them" has "$err" "--other-weights"
run sample --run "$work/mine" --prompt "a cat" --steps 1 -o "$work/mine.png"
check "a picture warns" has "$err" "warning: the weights of $work/desk/models/mine are not those that the run mine began with"
run export "$work/mine" -o "$work/mine.safetensors"
check "an export too" has "$err" "warning: the weights of"
cp "$work/unet" "$unet"
run resume "$work/mine" --steps 4 --quiet
check "the old weights, copied back, are the run's" is "$code" 0
printf "\\$(printf '%03o' $(((last + 1) % 256)))" | dd of="$unet" bs=1 seek=$((size - 4)) conv=notrunc 2>/dev/null
run resume "$work/mine" --steps 5 --other-weights --quiet
check "others are accepted when asked" is "$code" 0
check "which is an event" has "$(cat "$work/mine/metrics.jsonl")" '"event":"other-weights","step":5,"models":"model"'
run resume "$work/mine" --steps 6 --quiet
check "once" is "$code" 0

# The adapter that a run began with.
run tune "$work/desk/mine.json" --from "$work/mine@6" --steps 1 --run "$work/after" --quiet
check "a run begins with an adapter" is "$code" 0
cp "$work/mine/checkpoints/step-000004/lora.safetensors" "$work/after/origin.safetensors"
run resume "$work/after" --steps 2 --quiet
check "another in its place is noticed" is "$code" 3
check "and named" has "$err" "after/origin.safetensors are not those"

# Files that were changed.
cp "$work/mine/preset.json" "$work/preset"
sed 's|"batch": 2|"batch": 1|' "$work/preset" >"$work/mine/preset.json"
for command in "resume $work/mine" "sample --run $work/mine -o $work/x.png" "export $work/mine -o $work/x.safetensors"; do
    # shellcheck disable=SC2086
    run $command --quiet
    check "${command%% *} refuses a changed preset" is "$code" 3
    check "and says which" has "$err" "mine/preset.json: was changed"
done
cp "$work/preset" "$work/mine/preset.json"
run tune "$work/mine/preset.json" --steps 1 --run "$work/again" --quiet
check "a run's preset is a preset like others" is "$code$err" 0
sed -i 's|"skipped": 0|"skipped": 1|' "$work/mine/checkpoints/step-000006/state.json"
run resume "$work/mine" --steps 7 --quiet
check "a changed state is refused" is "$code" 3
check "and named" has "$err" "step-000006/state.json: was changed"

# Runs of a program before there were seals.
sed 's|^  "seal": .*||; s|^\(  "sample": {\)|\1|' "$work/again/preset.json" | tr -d '\n' | sed 's|, *}$|}|' >"$work/old"
cp "$work/old" "$work/again/preset.json"
rm "$work/again/weights.json"
run resume "$work/again" --steps 2
check "an old run goes on" is "$code" 0
check "and it is said what is not known" has "$err" "begun before runs were sealed"
check "and what is taken for granted" has "$err" "those found now are taken for the run's"
check "from now on" test -s "$work/again/weights.json"

# The gradient that the method estimates.
run gradcheck "$work/small.json" --set sampler.width=16 --set sampler.height=16 --set backprop.method=low-variance --json
check "the gradient of low-variance is right" is "$code" 0
check "of all its passes" has "$out" '"method":"low-variance","passes":3,'
low=$out
run gradcheck "$work/small.json" --set sampler.width=16 --set sampler.height=16 --set backprop.method=full --json
check "and is another than that of one pass" test "${low#*directions}" != "${out#*directions}"

# The plan keeps to the limit on address space.
if [ -z "${ASAN_OPTIONS-}" ]; then
    (ulimit -v 220000 && "$program" tune "$work/small.json" --set batch=64 --run "$work/narrow" --threads 1 --quiet 2>"$work/err")
    check "what the address space does not hold is not begun" is "$?" 4
    check "and it is said what is free" has "$(cat "$work/err")" "are free"
    check "and leaves no folder" test ! -e "$work/narrow"
fi
finish
