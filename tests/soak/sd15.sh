#!/bin/sh
# Stable Diffusion 1.5 in full size with random weights, in both layouts (diffusers folder, single file): they load, one
# U-Net call at 64x64 pixels agrees with diffusers, both give the same picture and, after one tuning step, the same
# adapter to the byte.
#   tests/soak/sd15.sh BUILD FOLDER [PYTHON]     needs 5 GB of disk, 12 GB of memory and, once, diffusers
set -eu
build=$1 folder=$2 python=${3:-python3}
source=$(cd "$(dirname "$0")/../.." && pwd)
models="stable-diffusion-v1-5 sd15.safetensors"
[ -e "$folder/golden.safetensors" ] || "$python" "$source/tests/oracle/make_sd15_random.py" "$folder"
"$build/tests/soak/sd15" "$folder/golden.safetensors" "$folder/stable-diffusion-v1-5" "$folder/sd15.safetensors"

timed() { # WHAT COMMAND...
    what=$1 began=$(date +%s%N)
    shift
    "$@"
    echo "$what: $((($(date +%s%N) - began) / 1000000)) ms"
}

tensors() { # the tensors' bytes: the file behind its header, which names the model
    size=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +$((size + 9)) "$1" | cksum
}

write_preset() {
    cat >"$folder/tune.json" <<JSON
{"schema": 1, "name": "sd15-step", "model": "$1", "prompts": {"train": ["a photo of a cat"]},
 "rewards": [{"name": "brightness"}, {"name": "jpeg", "weight": 0.1}], "lora": {"rank": 4},
 "sampler": {"steps": 2, "guidance": 7.5, "width": 64, "height": 64}, "backprop": {"method": "last-k", "k": 1},
 "batch": 1, "steps": 1, "sample": {"every": 0}}
JSON
}

for model in $models; do
    "$build/alignprop" models check "$folder/$model"
    timed "one sampling step and its decoding, with loading" "$build/alignprop" sample --model "$folder/$model" --prompt "a photo of a cat" --seed 1 --steps 1 --guidance 1 \
        --size 64x64 --quiet -o "$folder/$model.png"
    write_preset "$folder/$model"
    rm -rf "$folder/run-$model"
    "$build/alignprop" plan "$folder/tune.json"
    timed "one tuning step, with loading" "$build/alignprop" tune "$folder/tune.json" --run "$folder/run-$model"
    grep -o '"seconds":[0-9.]*\|"phases":{[^}]*}' "$folder/run-$model/metrics.jsonl"
    tensors "$folder/run-$model/lora.safetensors"
done
# The files differ in the recipe's model name only.
"$python" -c '
import sys
from PIL import Image
first, second = (Image.open(path).tobytes() for path in sys.argv[1:])
sys.exit(0 if first == second else "the pictures differ")
' "$folder/stable-diffusion-v1-5.png" "$folder/sd15.safetensors.png"
[ "$(tensors "$folder/run-stable-diffusion-v1-5/lora.safetensors")" = \
    "$(tensors "$folder/run-sd15.safetensors/lora.safetensors")" ] || {
    echo "the adapters differ"
    exit 1
}
echo "both layouts: equal picture, equal adapter"
