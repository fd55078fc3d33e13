#!/usr/bin/env python3
"""Does tuning teach the model what the reward means?  Tunes two presets and looks at held-out pictures before and after.

    python tests/oracle/measure_learning.py --program build/alignprop --out FOLDER [--preset emoji-two-cats] [--set KEY=VALUE]

emoji-small-files: kilobytes of the real JPEG files at the reward's quality must fall by at least 30 %.
emoji-two-cats: the share of pictures with exactly two cats, by the judge (judge.py, which shares nothing with the
rewards), must at least double.  Pictures are of held-out prompts with seeds the run never used, and made with 20 denoising
steps whatever number the preset tunes with.  Writes FOLDER/PRESET.json and FOLDER/PRESET.png, before above after, to be looked at; ends with 1 when the bar is missed.
"""

import argparse
import io
import json
import pathlib
import subprocess
import sys

import torch
from PIL import Image

import judge

SEED = 1_000_000
STEPS = 20  # of denoising
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def sample(arguments, preset, folder, lora=None):
    command = [arguments.program, "sample", "--preset", preset, "-n", str(arguments.count), "--seed", str(SEED),
               "--steps", str(STEPS), "-o", str(folder), "--quiet", "--threads", str(arguments.threads)]
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(command + (["--lora", str(lora)] if lora else []), check=True, stdout=subprocess.DEVNULL)
    paths = sorted(folder.glob("*.png"))
    if len(paths) != arguments.count:
        sys.exit(f"{folder}: {len(paths)} pictures, expected {arguments.count}")
    return paths


def kilobytes(paths, quality):
    """Mean size of baseline 4:2:0 files as libjpeg writes them."""
    sizes = []
    for path in paths:
        file = io.BytesIO()
        Image.open(path).convert("RGB").save(file, "JPEG", quality=quality)
        sizes.append(file.tell() / 1000)
    return sum(sizes) / len(sizes)


def exactly(paths, name, number):
    """Share of pictures on which the judge sees that number of the object and nothing else, and that number at all."""
    counts, _ = judge.Judge().look(torch.stack([judge.read_picture(path) for path in paths]))
    index = judge.NOUNS[name][0]
    right = counts[:, index] == number
    alone = right & (counts.sum(dim=1) == number)
    return right.float().mean().item(), alone.float().mean().item(), counts[:, index].float().mean().item()


def measure(preset, paths):
    reward = json.loads((REPOSITORY / "presets" / f"{preset}.json").read_text())["rewards"][0]
    if reward["name"] == "jpeg":
        return {"kilobytes": kilobytes(paths, reward.get("params", {}).get("quality", 75))}
    share, alone, mean = exactly(paths, reward["params"]["object"], reward["params"]["target"])
    return {"share": share, "share_alone": alone, "mean_count": mean}


def reached(before, after):
    if "kilobytes" in before:
        return after["kilobytes"] <= 0.7 * before["kilobytes"]
    return after["share"] >= 2 * before["share"] and after["share"] > 0.1


def montage(before, after, path, columns=12):
    """The first pictures of both, before in the upper half."""
    side = judge.SIDE
    sheet = Image.new("RGB", (columns * (side + 4), 4 * (side + 4) + 12), "white")
    for half, paths in enumerate((before, after)):
        for number, picture in enumerate(paths[:2 * columns]):
            place = (number % columns * (side + 4), (2 * half + number // columns) * (side + 4) + 12 * half)
            sheet.paste(Image.open(picture).convert("RGB"), place)
    sheet.save(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(REPOSITORY / "build" / "alignprop"))
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--preset", action="append", choices=("emoji-small-files", "emoji-two-cats"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the run")
    parser.add_argument("--count", type=int, default=96, help="pictures before and after (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    missed = False
    for preset in arguments.preset or ("emoji-small-files", "emoji-two-cats"):
        run = arguments.out / f"{preset}-run"
        settings = [word for setting in arguments.set for word in ("--set", setting)]
        subprocess.run([arguments.program, "tune", preset, "--run", str(run), "--quiet",
                        "--threads", str(arguments.threads), *settings], check=True, stdout=subprocess.DEVNULL)
        before = sample(arguments, preset, arguments.out / f"{preset}-before")
        after = sample(arguments, preset, arguments.out / f"{preset}-after", run / "lora.safetensors")
        result = {"preset": preset, "settings": arguments.set, "pictures": arguments.count,
                  "before": measure(preset, before), "after": measure(preset, after)}
        result["reached"] = reached(result["before"], result["after"])
        missed |= not result["reached"]
        (arguments.out / f"{preset}.json").write_text(json.dumps(result, indent=1) + "\n")
        montage(before, after, arguments.out / f"{preset}.png")
        print(json.dumps(result), flush=True)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
