#!/bin/sh
# Stable Diffusion 1.5 in full size with random weights: both layouts load, one U-Net call at 64x64 pixels agrees with
# diffusers and between them, and both give the same picture.
#   tests/soak/sd15.sh BUILD FOLDER [PYTHON]     needs 5 GB of disk, 12 GB of memory and, once, diffusers
set -eu
build=$1 folder=$2 python=${3:-python3}
source=$(cd "$(dirname "$0")/../.." && pwd)
[ -e "$folder/golden.safetensors" ] || "$python" "$source/tests/oracle/make_sd15_random.py" "$folder"
"$build/tests/soak/sd15" "$folder/golden.safetensors" "$folder/stable-diffusion-v1-5" "$folder/sd15.safetensors"
for model in stable-diffusion-v1-5 sd15.safetensors; do
    "$build/alignprop" models check "$folder/$model"
    "$build/alignprop" sample --model "$folder/$model" --prompt "a photo of a cat" --seed 1 --steps 1 --guidance 1 \
        --size 64x64 --quiet -o "$folder/$model.png"
done
# The files differ in the recipe's model name only.
"$python" -c '
import sys
from PIL import Image
first, second = (Image.open(path).tobytes() for path in sys.argv[1:])
sys.exit(0 if first == second else "the pictures differ")
' "$folder/stable-diffusion-v1-5.png" "$folder/sd15.safetensors.png"
echo "both layouts: equal"
