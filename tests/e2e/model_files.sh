#!/bin/sh
# Model files as people have them: weights that are no numbers, and pipes in the place of files.
. "$(dirname "$0")/common.sh"
small_preset small
golden=$source/tests/golden

# As run; what waits for a pipe's writer would wait for ever.
run_soon() {
    timeout 120 "$program" "$@" >"$work/out" 2>"$work/err" </dev/null
    code=$?
    out=$(cat "$work/out")
    err=$(cat "$work/err")
}

refused() { # words for a command that just ran, part of the message
    check "$1 is bad input" is "$code" 3
    check "$1: the message" has "$err" "$2"
}

# ---- an infinity or NaN in the weights ----

replace_end() { # file, octal bytes: takes the place of its last ones
    size=$(wc -c <"$1")
    printf "$2" >"$work/bytes"
    dd if="$work/bytes" of="$1" bs=1 seek=$((size - $(wc -c <"$work/bytes"))) conv=notrunc 2>"$work/dd"
}

infinity='\000\174'        # fp16, as an overflow leaves it
not_a_number='\000\000\300\177' # fp32

fresh_model() {
    rm -rf "$work/model"
    cp -r "$golden/config/deep-sharded" "$work/model"
    chmod -R u+w "$work/model"
}

for file in unet/diffusion_pytorch_model-00001-of-00002 vae/diffusion_pytorch_model text_encoder/model; do
    fresh_model
    replace_end "$work/model/$file.safetensors" "$infinity"
    run models check "$work/model"
    refused "$file checked" "$file.safetensors"
    check "$file: the tensor is named" has "$err" "holds an infinity or NaN, at element"
    run sample --model "$work/model" -p "a cat" --steps 1 -o "$work/black.png"
    refused "$file sampled" "$file.safetensors"
    check "$file: no picture is written" [ ! -e "$work/black.png" ]
    rm -rf "$work/run"
    run tune "$work/small.json" --set "model=$work/model" --run "$work/run" --steps 1
    refused "$file tuned" "holds an infinity or NaN, at element"
    run gradcheck "$work/small.json" --set "model=$work/model"
    refused "$file in gradcheck" "holds an infinity or NaN, at element"
    run bench "$work/small.json" --set "model=$work/model" --steps 1
    refused "$file in bench" "holds an infinity or NaN, at element"
done

run sample --model "$golden/config/deep-sharded" -p "a cat" --steps 1 --size 32x32 -o "$work/cat.png"
check "the sound model makes a picture" is "$code" 0
cp -r "$golden/reward/clip-quick-gelu" "$work/clip"
chmod -R u+w "$work/clip"
replace_end "$work/clip/model.safetensors" "$not_a_number"
run score "$work/cat.png" --prompt "a cat" --reward "clip:model=$work/clip"
refused "CLIP" "$work/clip/model.safetensors"
mkdir "$work/head"
cp "$golden/reward/aesthetic/model.safetensors" "$work/head/"
chmod u+w "$work/head/model.safetensors"
replace_end "$work/head/model.safetensors" "$not_a_number"
run score "$work/cat.png" --reward "aesthetic:model=$work/head,clip=$golden/reward/clip-quick-gelu"
refused "an aesthetic head" "$work/head/model.safetensors"

# ---- pipes in the place of files ----

mkdir -p "$work/data/alignprop/models/folder" "$work/config/alignprop/presets" "$work/data/alignprop/runs"
mkfifo "$work/pipe" "$work/data/alignprop/models/pipe.safetensors" "$work/data/alignprop/models/head.pth" \
    "$work/data/alignprop/models/folder/config.json" "$work/config/alignprop/presets/pipe.json"
run_soon models
check "models are listed past a pipe" is "$code" 0
run_soon models --model-path "$work/pipe"
refused "a pipe as --model-path" "is a pipe; expected a regular file"
run_soon models check "$work/data/alignprop/models/pipe.safetensors"
refused "a pipe checked" "is a pipe; expected a regular file"
run_soon doctor
check "doctor does not wait for a pipe" is "$code" 0
run_soon presets list
check "presets are listed past a pipe" is "$code" 0
run_soon plan "$work/pipe"
refused "a pipe as preset" "is a pipe; expected a regular file"
run_soon plan "$work/small.json" --set "model=$work/pipe"
refused "a pipe as model" "is a pipe; expected a regular file"
run_soon plan "$work/small.json" --set "prompts.train_file=$work/pipe"
refused "a pipe as prompts" "is a pipe; expected a regular file"
run_soon sample --model "$golden/config/deep-sharded" -p "a cat" --steps 1 --size 32x32 --lora "$work/pipe" \
    -o "$work/cat.png"
refused "a pipe as adapter" "is a pipe; expected a regular file"
run_soon score "$work/pipe" --reward jpeg
check "a pipe as picture is bad input" is "$code" 3
run_soon show "$work/pipe"
refused "a pipe shown" "is a pipe; expected a regular file"
for file in unet/config.json text_encoder/model.safetensors scheduler/scheduler_config.json tokenizer/tokenizer.json; do
    fresh_model
    rm "$work/model/$file"
    mkfifo "$work/model/$file"
    run_soon plan "$work/small.json" --set "model=$work/model"
    refused "a pipe as $file" "$file: is a pipe; expected a regular file"
done

run tune "$work/small.json" --steps 2 --run "$work/whole"
check "a run to spoil" is "$code" 0
for file in preset.json metrics.jsonl engine.json engine.lock lora.safetensors checkpoints/step-000002/state.json \
    checkpoints/step-000002/lora.safetensors checkpoints/step-000002/optimizer.safetensors; do
    rm -rf "$work/data/alignprop/runs/spoilt"
    cp -r "$work/whole" "$work/data/alignprop/runs/spoilt"
    rm "$work/data/alignprop/runs/spoilt/$file"
    mkfifo "$work/data/alignprop/runs/spoilt/$file"
    run_soon runs
    check "runs are listed past a pipe as $file" is "$code" 0
    run_soon resume "$work/data/alignprop/runs/spoilt" --steps 3
    check "resume does not wait for a pipe as $file" [ "$code" -ne 124 ]
done
finish
