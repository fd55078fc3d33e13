#!/bin/sh
# Text that people write and output that goes where they say: names with anything in them, closed and full descriptors,
# pictures of other programs, files that must not be written onto.
. "$(dirname "$0")/common.sh"
small_preset small
pictures=$source/tests/golden/pictures
esc=$(printf '\033')

json() { # file: whether every line of it is JSON in UTF-8, as far as this machine can tell
    command -v python3 >/dev/null || return 0
    python3 -c 'import json, sys
for line in open(sys.argv[1], "rb"): json.loads(line.decode())' "$1"
}
plain() { # whether neither stream of the last run held a control character or what is no UTF-8
    ! LC_ALL=C grep -q "$(printf '[\001-\010\013-\037\177]')" "$work/out" "$work/err" &&
        iconv -f UTF-8 -t UTF-8 "$work/out" "$work/err" >/dev/null
}

# ---- runs with names of all kinds
run tune "$work/small.json" --run "$work/d/at@5" --steps 2 --threads 1 --quiet
check "a run may have an @ in its name" is "$code" 0
run export "$work/d/at@5" -o "$work/new/folder/at.safetensors"
check "and be exported by it, into a folder that is made" is "$code" 0
run export "$work/d/at@5@2" -o "$work/at2.safetensors"
check "of a step too" is "$code" 0
run export "at@5" -o "$work/at3.safetensors"
check "by the last part of its path" is "$code" 0
run sample --run "$work/d/at@5" --prompt "a cat" --steps 2 --threads 1 -o "$work/made/there/x.png" --json
check "and sampled from, into a folder that is made" test -s "$work/made/there/x.png"
run export "$work/d/at@x" -o "$work/x.safetensors"
check "a step must be a number" is "$code" 2
odd=$(printf 'new\nline\033[31m')
latin=$(printf 'latin\351')
for name in "$odd" "$latin"; do
    cp -r "$work/d/at@5" "$work/data/$name" 2>/dev/null || { mkdir -p "$work/data" && cp -r "$work/d/at@5" "$work/data/$name"; }
    run resume "$work/data/$name" --steps 3 --threads 1
    check "a run of any name goes on" is "$code" 0
    check "and its name does nothing to the terminal" plain
done
run runs --json
check "a list with such names is JSON" json "$work/out"
check "with the new line" has "$out" 'new\nline\u001b[31m'
run runs
check "and a table has a line for each" is "$(printf '%s\n' "$out" | wc -l)" 3
check "without control characters" plain

# ---- prompts
bad=$(printf 'caf\351 cat')
run sample --preset "$work/small.json" --prompt "$bad" --threads 1 -o "$work/bad.png"
check "a prompt that is not UTF-8 is bad input" is "$code" 3
check "and it is said where" has "$err" "--prompt: not UTF-8: byte 0xe9 at place 4"
run sample --preset "$work/small.json" --negative "$bad" --threads 1 -o "$work/bad.png"
check "a negative one too" is "$code" 3
run score "$pictures/rgb-8.png" --reward brightness --prompt "$bad"
check "and one of a score" is "$code" 3
run tune "$work/small.json" --set "prompts.train=$bad"
check "and a setting" is "$code" 2
run score "$pictures/rgb-8.png" --reward "count:object=$bad"
check "and a reward's parameter" is "$code" 2
long=$(printf 'word %.0s' $(seq 100))
run sample --preset "$work/small.json" --prompt "$long end" --steps 1 --threads 1 -o "$work/long.png"
check "what the model does not read of a prompt is told" has "$err" "cut off: \"word word"
check "once" is "$(printf '%s\n' "$err" | grep -c 'cut off')" 1
run presets check "$work/small.json" --set 'prompts.train=["a"]' --set "prompts.eval=$long end"
check "and by the check of a preset" has "$err" "prompts.eval: the model reads"
run presets check "$work/small.json" --set 'prompts.eval=["a cat"]'
check "held-out prompts that are trained on are told" has "$err" "1 of 1 held-out prompts is a training prompt too"

# ---- names in messages
name="${esc}[31mred$(printf '\007\302\233')"
run presets check "$work/$name.json"
check "a message has no control characters" plain
check "but their names" has "$err" '\x1b[31mred\x07\u009b.json'
run score "$work/$name" --reward "$name"
check "nor has one on a reward" plain
run "$name"
check "nor one on a command" plain

# ---- closed and full descriptors
run tune "$work/small.json" --run "$work/whole" --threads 1 --quiet
"$program" tune "$work/small.json" --run "$work/closed" --threads 1 2>&- >/dev/null
check "a run with stderr closed ends well" is "$?" 0
check "and its lock file stays empty" is "$(wc -c <"$work/closed/engine.lock")" 0
check "as all its files" is "$(ls "$work/closed")" "$(ls "$work/whole")"
"$program" tune "$work/small.json" --run "$work/all-closed" --threads 1 <&- >&- 2>&-
check "with all of them closed it fails, for nobody gets its words" is "$?" 1
check "but the run is whole" is "$(ls "$work/all-closed")" "$(ls "$work/whole")"
if [ -c /dev/full ]; then
    "$program" tune "$work/small.json" --run "$work/full" --steps 2 --threads 1 --json >/dev/full 2>"$work/err"
    check "steps that cannot be written are a failure" is "$?" 1
    check "which says so" has "$(cat "$work/err")" "cannot write the results: No space left on device"
    check "and the run is whole" test -s "$work/full/checkpoints/step-000002/state.json"
    for words in "runs" "runs --json" "models" "models --json" "presets list --json" "presets show $work/small.json --json" \
        "plan $work/small.json --json" "doctor --json" "--version" "--help" "tune --help" "generate man" \
        "score $pictures/rgb-8.png --reward brightness" "score $pictures/rgb-8.png --reward brightness --json" \
        "export $work/whole -o $work/full.safetensors --json" "presets path" \
        "sample --preset $work/small.json --steps 1 --threads 1 -o $work/pictures --json"; do
        "$program" $words >/dev/full 2>"$work/err"
        check "$words: full" is "$?" 1
    done
fi

# ---- where output goes
mkfifo "$work/pipe"
ln -s "$work/at2.safetensors" "$work/link"
ln -s "$work/nowhere" "$work/loose"
for target in /dev/null "$work/pipe" "$work/loose" "$work" "$work/whole/preset.json" "$work/whole/lora.safetensors" \
    "$work/whole/checkpoints/step-000006/state.json" "$work/whole/best.safetensors"; do
    before=$(ls -ld "$target" 2>&1)
    run export "$work/whole" -o "$target"
    check "$target is not written onto" is "$code" 3
    check "and stays as it was" is "$(ls -ld "$target" 2>&1)" "$before"
done
run export "$work/whole" -o "$work/link"
check "a link is followed" is "$code" 0
check "and stays" test -L "$work/link"
run export "$work/whole" -o "$work/link" --scale 0.5
check "nothing is left beside what is written" is "$(find "$work" -name '*.tmp*' | wc -l)" 0
run sample --preset "$work/small.json" --prompt "a cat" --steps 1 --threads 1 -o "$work/x.jpg"
check "a picture is no JPEG" is "$code" 2
check "nor a folder of that name" test ! -e "$work/x.jpg"
run sample --preset "$work/small.json" --prompt "a cat" --steps 1 --threads 1 -o "$work/X.PNG"
check "but a PNG in capitals" test -f "$work/X.PNG"
run sample --preset "$work/small.json" --prompt "a cat" --steps 1 --threads 1 -o "$work/whole/samples/step-000003/00-43.png"
check "and not onto a run's picture" is "$code" 3
cp "$work/at2.safetensors" "$work/a:0.5"
run sample --preset "$work/small.json" --prompt "a cat" --steps 1 --threads 1 --lora "$work/a:0.5" -o "$work/colon.png"
check "an adapter may have a colon in its name" is "$code" 0

# ---- pictures
run score "$pictures/damaged-half.jpg" "$pictures/rgb-8.png" "$work/none.png" "$pictures/cmyk.jpg" --reward brightness
check "pictures that cannot be read are bad input" is "$code" 3
check "each is told of" is "$(printf '%s\n' "$err" | grep -c 'damaged-half.jpg: \|none.png: \|2 of 4 pictures')" 3
check "and the others have their scores" is "$(printf '%s\n' "$out" | grep -c 'brightness ')" 2
cp -r "$source/tests/golden/reward/clip-gelu" "$work/clip"
run score "$pictures/rgb-8.png" --reward "clip:model=$work/clip" --prompt "a cat"
check "a picture has a score" is "$code" 0
weights=$work/clip/model.safetensors # ends with the visual projection, in fp16: here NaN
printf '\000\176' | dd of="$weights" bs=1 seek=$(($(wc -c <"$weights") - 1152)) conv=notrunc 2>/dev/null
run score "$pictures/rgb-8.png" --reward "clip:model=$work/clip" --prompt "a cat"
check "a score that is no number is none" is "$code" 3
check "and is not printed" is "$out" ""
run show --format none "$pictures/turned-6.jpg"
check "a picture is shown upright" has "$out" "turned-6.jpg: 12 x 20"
TERM=dumb run show "$pictures/rgb-8.png"
check "a dumb terminal gets a line" is "$out" "$pictures/rgb-8.png: 7 x 5"
TERM=dumb run show --format symbols "$pictures/rgb-8.png"
check "and symbols without colours" plain
TMUX=/nowhere,1,0 run show --format kitty "$pictures/rgb-8.png"
check "tmux gets its wrapping" has "$out" "${esc}Ptmux;${esc}${esc}_G"
TMUX="" run show --format kitty "$pictures/rgb-8.png"
check "and nobody else" is "$(printf '%s' "$out" | grep -c tmux)" 0
finish
