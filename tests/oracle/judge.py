#!/usr/bin/env python3
"""Judges pictures of the emoji model: which objects, how many, on which ground.

A convolutional network of its own, trained on its own data and seed
(train_judge.py); it shares no weight with the reward models, so it can say whether
tuning against them made better pictures or only fooled them.

    python tests/oracle/judge.py --captions FILE PICTURE...
    python tests/oracle/judge.py --object cat --count 2 PICTURE...

FILE holds one caption a line, in the order of the pictures (`#` starts a comment).
"""

import argparse
import json
import pathlib
import re
import sys

import numpy
import torch
import torch.nn.functional as functional
from PIL import Image
from safetensors.torch import load_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "presets" / "models" / "emoji" / "train"))
from vocabulary import COLOUR_NAMES, NAMES, NUMBERS, OBJECTS  # noqa: E402

WEIGHTS = HERE / "judge" / "model.safetensors"
SIDE = 128
CELLS = 16
THRESHOLD = 0.4


class Block(torch.nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.first = torch.nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.first_norm = torch.nn.BatchNorm2d(width)
        self.second = torch.nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = torch.nn.BatchNorm2d(width)

    def forward(self, x):
        inner = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(x + self.second_norm(self.second(inner)))


class Network(torch.nn.Module):
    """Heat maps of object centres, one a class, on a grid of 16x16, and the ground's colour."""

    def __init__(self, width=72):
        super().__init__()
        self.stem = torch.nn.Sequential(
            torch.nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False), torch.nn.BatchNorm2d(24), torch.nn.ReLU(),
            torch.nn.Conv2d(24, 40, 3, stride=2, padding=1, bias=False), torch.nn.BatchNorm2d(40), torch.nn.ReLU(),
            torch.nn.Conv2d(40, width, 3, stride=2, padding=1, bias=False), torch.nn.BatchNorm2d(width), torch.nn.ReLU())
        self.blocks = torch.nn.Sequential(Block(width, 1), Block(width, 2), Block(width, 2))
        self.centres = torch.nn.Conv2d(width, len(NAMES), 1)
        self.ground = torch.nn.Linear(40, len(COLOUR_NAMES))
        torch.nn.init.constant_(self.centres.bias, -4.0)

    def forward(self, pictures):
        early = self.stem[:6](pictures * 2 - 1)
        features = self.blocks(self.stem[6:](early))
        # The ground is what the border shows.
        border = torch.cat([early[:, :, :2].flatten(2), early[:, :, -2:].flatten(2),
                            early[..., :2].flatten(2), early[..., -2:].flatten(2)], dim=2).mean(dim=2)
        return self.centres(features), self.ground(border)


def peaks(heat):
    """Counts of each class: cells that are the highest of their neighbourhood, in their class and among classes."""
    score = heat.sigmoid()
    best = score.amax(dim=1, keepdim=True)
    highest = functional.max_pool2d(best, 3, 1, 1)
    return ((score == highest) & (score > THRESHOLD)).sum(dim=(2, 3))


class Judge:
    def __init__(self, path=WEIGHTS):
        self.network = Network()
        state = {name: value if value.dtype == torch.int64 else value.float() for name, value in load_file(path).items()}
        self.network.load_state_dict(state)
        self.network.eval().requires_grad_(False)

    def look(self, pictures):
        """Pictures NCHW in [0, 1]: counts (picture, object) and ground colours (picture)."""
        counts, colours = [], []
        with torch.no_grad():
            for part in pictures.split(64):
                heat, ground = self.network(part)
                counts.append(peaks(heat))
                colours.append(ground.argmax(dim=1))
        return torch.cat(counts), torch.cat(colours)


def noun_table():
    table = {}
    for index, entry in enumerate(OBJECTS):
        for singular, plural in ((entry.name, entry.plural),) + entry.synonyms:
            table[plural] = (index, False)
            table[singular] = (index, singular != plural)
    return table


NOUNS = noun_table()
NUMBER_WORDS = {"a": 1, "an": 1, "single": 1, **{word: n for n, word in enumerate(NUMBERS, 1)}, **{str(n): n for n in range(1, 7)}}


def understand(caption):
    """What a caption asks for: {object index: number or None}, colour index or None."""
    words = re.findall(r"[a-z]+|[0-9]", caption.lower())
    wanted, colour = {}, None
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        # "orange" is a colour here, and no object of the vocabulary bears a colour's name.
        if word in COLOUR_NAMES and following not in NOUNS:
            colour = COLOUR_NAMES.index(word)
        elif word in NOUNS:
            index, singular = NOUNS[word]
            before = words[place - 1] if place else ""
            wanted[index] = NUMBER_WORDS.get(before, 1 if singular else None)
    return wanted, colour


def read_picture(path):
    image = Image.open(path).convert("RGB")
    if image.size != (SIDE, SIDE):
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return torch.from_numpy(numpy.asarray(image).copy()).permute(2, 0, 1).float() / 255


def verdicts(counts, colours, captions):
    """For every caption: objects all there, colour right, every number right; None where not asked for."""
    results = []
    for seen, ground, caption in zip(counts.tolist(), colours.tolist(), captions):
        wanted, colour = understand(caption)
        numbers = {index: number for index, number in wanted.items() if number is not None}
        results.append({
            "caption": caption,
            "object": all(seen[index] > 0 for index in wanted) if wanted else None,
            "number": all(seen[index] == number for index, number in numbers.items()) if numbers else None,
            "colour": ground == colour if colour is not None else None,
            "seen": {NAMES[index]: count for index, count in enumerate(seen) if count}, "ground": COLOUR_NAMES[ground]})
    return results


def shares(results):
    totals = {}
    for key in ("object", "number", "colour"):
        asked = [result[key] for result in results if result[key] is not None]
        totals[key] = {"right": sum(asked), "asked": len(asked), "share": sum(asked) / len(asked) if asked else None}
    return totals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--captions", type=pathlib.Path, help="one caption a line, in the pictures' order")
    parser.add_argument("--object", choices=NAMES, help="report how many of it each picture shows")
    parser.add_argument("--count", type=int, help="with --object: the share of pictures with exactly so many")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("pictures", nargs="+")
    arguments = parser.parse_args()
    if not arguments.captions and not arguments.object:
        parser.error("say --captions FILE or --object NAME")
    counts, colours = Judge().look(torch.stack([read_picture(path) for path in arguments.pictures]))
    report = {}
    if arguments.captions:
        lines = [line.strip() for line in arguments.captions.read_text(encoding="utf-8").splitlines()]
        captions = [line for line in lines if line and not line.startswith("#")]
        if len(captions) != len(arguments.pictures):
            parser.error(f"{len(captions)} captions for {len(arguments.pictures)} pictures")
        results = verdicts(counts, colours, captions)
        report["shares"] = shares(results)
        report["pictures"] = [{"file": path, **result} for path, result in zip(arguments.pictures, results)]
    if arguments.object:
        seen = counts[:, NAMES.index(arguments.object)].tolist()
        report["object"] = {"name": arguments.object, "counts": dict(zip(arguments.pictures, seen)),
                            "present": sum(n > 0 for n in seen) / len(seen)}
        if arguments.count is not None:
            report["object"]["exactly"] = {"count": arguments.count, "share": sum(n == arguments.count for n in seen) / len(seen)}
    if arguments.json:
        print(json.dumps(report, indent=1))
        return
    if arguments.captions:
        for result in report["pictures"]:
            print(f"{result['file']}: {result['caption']!r} shows {result['seen']} on {result['ground']}")
        for key, total in report["shares"].items():
            if total["asked"]:
                print(f"{key}: {total['right']} of {total['asked']} ({100 * total['share']:.1f} %)")
    if arguments.object:
        print(f"{arguments.object} present: {100 * report['object']['present']:.1f} %")
        if arguments.count is not None:
            print(f"exactly {arguments.count}: {100 * report['object']['exactly']['share']:.1f} %")


if __name__ == "__main__":
    main()
