#!/bin/sh
# Every command by its words, its results and its exit status.
. "$(dirname "$0")/common.sh"
small_preset small

run --version
check "version is one line" is "$(printf '%s\n' "$out" | wc -l)" 1
run --help
check "help is given" has "$out" "Commands:"
for name in tune resume attach runs stop pause continue sample score show export models presets plan gradcheck bench \
    doctor engine studio; do
    run "$name" --help
    check "$name --help" is "$code" 0
    check "$name is in the overview" has "$("$program" --help)" "  $name"
    check "$name is in the man page" has "$("$program" generate man)" ".SS $name"
    check "$name is completed" has "$("$program" generate bash)" "    $name)"
done
run nonsense
check "an unknown command is wrong usage" is "$code" 2
run --pictures=sepia
check "the studio's options come without a command" is "$code" 0 # there is no terminal to open it on
run --pictuers sixel
check "and are checked" has "$err" "did you mean --pictures?"
run tune small --stesp 3
check "a wrong option is wrong usage" is "$code" 2
check "and gets the nearest" has "$err" "did you mean --steps?"
run tune
check "a missing argument is wrong usage" is "$code" 2
run tune "$work/small.json" --set sampler.setps=3
check "a wrong key is wrong usage" is "$code" 2
run tune "$work/nowhere.json"
check "a missing preset is bad input" is "$code" 3
run tune "$work/small.json" --set batch=0
check "a wrong value is bad input" is "$code" 3
check "and names its range" has "$err" "from 1 to 1024"
run tune "$work/small.json" --set model=nowhere
check "a missing model is bad input" is "$code" 3
check "and says where models belong" has "$err" "alignprop/models"
run tune "$work/small.json" --set 'rewards=[{"name":"brightnes"}]'
check "a wrong reward is bad input" is "$code" 3
check "and gets the nearest reward" has "$err" 'did you mean "brightness"?'
run tune "$work/small.json" --device cuda:77
check "a missing device fails" is "$code" 1

run presets show "$work/small.json"
check "a preset is shown with its sources" has "$out" "default  learning rate of AdamW"
run presets check "$work/small.json"
check "a good preset is found good" is "$code" 0
run presets show "$work/small.json" --json
check "shown as JSON" has "$out" '"sources":{'
run presets path
check "the own folder" is "$out" "$work/config/alignprop/presets"
run presets list --quiet
check "the program's presets are listed" has "$out" "emoji-two-cats"

run plan "$work/small.json" --json
check "a plan has a total" has "$out" '"total_bytes":'
run plan "$work/small.json" --set memory.limit=1MiB
check "a plan that does not fit is shown" has "$out" "total "
check "and it is said what is needed and allowed" has "$err" "memory.limit allows"
run tune "$work/small.json" --set memory.limit=1MiB --run "$work/small-limit"
check "and it is not tuned" is "$code" 4
check "which is said once" is "$(printf '%s\n' "$err" | grep -c 'memory.limit allows')" 1
run bench "$work/small.json" --steps 1 --device cpu --json
check "a step is measured" has "$out" '"backward":'
check "on the CPU without a device's memory" is "$(printf '%s' "$out" | grep -c '"device_peak_bytes"')" 0
check "without its kernels unless asked" is "$(printf '%s' "$out" | grep -c '"kernels"')" 0
run bench "$work/small.json" --steps 5 --device cpu --json
middle=$(grep -o '"step_seconds":\[[^]]*' "$work/out" | tr '[,' '\n\n' | sed 1,3d | sort -g | sed -n 2p)
check "of five steps the median of the last three" has "$out" "\"step\":$middle,"
keys() { grep -o '"[a-z_0-9]*":\("[a-z_]*"\)\{0,1\}' "$work/out" | sed '1,/"kernels":/d; s/"class":"\(.*\)"/class \1/'; }
run bench "$work/small.json" --steps 2 --kernels --device cpu --json
check "a step is measured by class of kernel" has "$out" '"class":"attention_backward","calls":'
check "on one line" is "$(printf '%s\n' "$out" | wc -l)" 1
check "with the machine's peaks" has "$out" '"flops_per_second":'
check "of the steps after the first" has "$out" '"kernels":{"steps":1,'
check "and every number known" is "$(printf '%s' "$out" | grep -c 's":null\|e":null\|nan')" 0
keys | sed '/"next_gain"/,$d' >"$work/keys"
run bench "$work/small.json" --set backprop.method=last-k --set backprop.k=1 --set 'rewards=[{"name":"sharpness"}]' --steps 1 \
    --kernels --device cpu --json
keys | sed '/"next_gain"/,$d' >"$work/other-keys"
check "another preset has the same keys and classes" cmp "$work/keys" "$work/other-keys"
check "which are not none" is "$(grep -c '^class ' "$work/keys")" 15
run bench "$work/small.json" --steps 1 --kernels --device cpu
check "and in words" has "$out" "3x3 convolutions backward"
check "with the way it was measured" has "$out" "every call was waited for"
check "and what to do next" is "$(printf '%s\n' "$out" | tail -n 1 | grep -c '^the next gain: \|^no gain left: ')" 1
run bench --help
check "the help names it" has "$out" "--kernels"
run models check "$source/tests/golden/config/deep-sharded" --json
check "a model is described" has "$out" '"problem_count":0'
cp -r "$source/tests/golden/config/plain-decoder" "$work/other-sigmas"
sed -i 's/"use_beta_sigmas": false/"use_beta_sigmas": true, "frobnicate": -Infinity/; s/"_use_default_values"/"_"/' \
    "$work/other-sigmas/scheduler/scheduler_config.json"
run models check "$work/other-sigmas"
check "a model with another sampler's options is good" is "$code" 0
check "a sampler that they leave out is named" has "$out" "warning: sampler euler cannot be used: the model's scheduler_config.json: use_beta_sigmas is true"
check "and a key that nobody knows" has "$out" "scheduler_config.json: passes over keys that are not known: "
run sample --model "$work/other-sigmas" -p cats --steps 2 --size 8x8 --sampler euler -o "$work/sigmas.png"
check "that sampler is refused" is "$code" 3
run sample --model "$work/other-sigmas" -p cats --steps 2 --size 8x8 --sampler ddim -o "$work/sigmas.png"
check "another one is not" is "$code" 0
check "the unknown key is said once" is "$(printf '%s\n' "$err" | grep -c frobnicate)" 1
run models check "$source/presets/models/emoji/vae"
check "what is no model is bad input, and it is said why" has "$err" "is a VAE alone, as diffusers saves it; put it into vae/"
run models check "$work"
check "a folder that is no model is bad input" is "$code" 3
run models check "$source/tests/golden/adapters/peft-folder" --json
check "an adapter's folder is told" has "$out" '"kind":"LoRA adapter"'
check "with its rank and strength" has "$out" 'U-Net, rank 2 to 3, strength (alpha / rank) 0.70'

run tune "$work/small.json" --run "$work/run" --threads 1 --json
check "a run is tuned" is "$code" 0
check "with one line of JSON a step" is "$(printf '%s\n' "$out" | wc -l)" 6
check "and the words of progress on stderr" has "$err" "step 6/6"
check "one line a step" is "$(printf '%s\n' "$err" | grep -c '^step ')" 6
check "each with the reward of its step" is "$(printf '%s\n' "$err" | sed -n 's/^step .* reward \([^ ]*\) .*/\1/p')" \
    "$(printf '%s\n' "$out" | sed 's/"eval_reward".*//; s/.*"total":\([^,}]*\).*/\1/' | xargs -n 1 printf '%.4g\n')"
for file in preset.json metrics.jsonl lora.safetensors engine.json checkpoints/step-000006/state.json; do
    check "$file is there" test -s "$work/run/$file"
done
check "pictures are there" test -s "$work/run/samples/step-000003/01-43.png"
run tune "$work/small.json" --run "$work/run"
check "a folder that is in use is refused" is "$code" 3
run runs --json
check "runs are listed as JSON" is "$code" 0
run pause "$work/run"
check "a dead run cannot be paused" is "$code" 1
run resume "$work/run" --steps 8 --json --quiet
check "a run goes on to a new total" is "$(printf '%s\n' "$out" | wc -l)" 2
check "quietly" is "$err" ""
run resume nowhere
check "no such run" is "$code" 3
run tune "$work/small.json" --set sampler.width=null --set sampler.height=null --steps 1 --run "$work/own-size" --quiet
check "a run takes the model's own size, 20x20" has "$(tr -d ' \n' <"$work/own-size/preset.json")" '"width":20,"height":20'
run resume "$work/own-size" --steps 2 --quiet
check "and goes on with it" is "$code" 0
run presets check "$work/small.json" --set sampler.width=33
check "a size that the model does not make is bad input" is "$code" 3
check "and it is said which it makes" has "$err" "needs multiples of 4"

run export "$work/run" -o "$work/kohya.safetensors"
check "an adapter is exported" is "$code" 0
check "and all tensors match" has "$out" "match"
run export "$work/run@6" --format peft --scale 0.5 -o "$work/peft.safetensors" --json
check "as peft, with a scale, of a step" is "$code" 0
run export "$work/run@5" -o "$work/x.safetensors"
check "a step without checkpoint is bad input" is "$code" 3

run sample --preset "$work/small.json" --prompt "a cat" --seed 7 --threads 1 -o "$work/base.png"
check "a picture is made" is "$code" 0
run sample --run "$work/run" --prompt "a cat" --seed 7 --threads 1 -o "$work/tuned.png"
check "with a run's adapter" is "$code" 0
run sample --preset "$work/small.json" --prompt "a cat" --seed 7 --threads 1 --lora "$work/run/lora.safetensors:1" \
    -o "$work/lora.png"
check "with an adapter file" is "$code" 0
run sample --preset "$work/small.json" --prompt "a cat" --seed 7 --threads 1 --lora "$work/run/lora.safetensors:0" \
    -o "$work/zero.png"
run score "$work/base.png" "$work/zero.png" "$work/tuned.png" "$work/lora.png" --reward brightness \
    --reward jpeg:quality=90 --json
check "pictures are scored" is "$code" 0
scores() { sed -n "${1}p" "$work/out" | sed 's/.*"reward"://'; }
check "scale 0 is the base picture" is "$(scores 2)" "$(scores 1)"
check "a run's adapter is its file" is "$(scores 4)" "$(scores 3)"
run score "$work/base.png" --reward color:color=#ff0000 --reward color:color=#00ff00 --json
check "two of one name are told apart" has "$out" '"color:color=#00ff00":'
run score "$work/base.png" --reward jpeg --reward jpeg
check "the same twice is wrong usage" is "$code" 2
run score "$work/base.png" --reward nonsense
check "an unknown reward is bad input" is "$code" 3
run score "$work/small.json" --reward brightness
check "what is no picture is bad input" is "$code" 3
run sample --preset "$work/small.json" --size 33x32
check "a wrong size is wrong usage" is "$code" 2

run gradcheck "$work/small.json" --json --set sampler.width=16 --set sampler.height=16
check "the gradient is right" is "$code" 0
check "in three directions" is "$(printf '%s' "$out" | grep -o '"analytic"' | wc -l)" 3
run doctor --json
check "the doctor reports" has "$out" '"cuda":{"built":'

if [ "$(id -u)" -ne 0 ]; then
    mkdir "$work/locked" && chmod 500 "$work/locked"
    run tune "$work/small.json" --run "$work/locked/run"
    check "a read-only folder fails" is "$code" 1
fi
"$program" doctor >/dev/full 2>"$work/err"
check "results that cannot be written are a failure" is "$?" 1
finish
