"""Writes the prompt lists under presets/prompts/ from the vocabulary.

General lists: training prompts only use combinations the model was trained on, held-out
prompts only those it never saw.  Cat lists: prompts that name no number, so that a
reward for a number has something to decide; their grounds do not overlap.
"""

import argparse
import pathlib

import captions
import scenes
from vocabulary import COLOUR_NAMES, NAMES, OBJECTS

CAT_FORMS = ("cats on a {} background", "{} background with cats")
CAT_TRAIN = ("blue", "green", "yellow", "pink", "purple", "white")
CAT_HELD_OUT = ("red", "teal", "orange", "grey", "brown", "black")


def combinations(held_out):
    """One combination an object, going round numbers one to four and the grounds."""
    for index, name in enumerate(NAMES):
        for turn in range(48):
            count, colour = (index + turn) % 4 + 1, (index * 5 + turn // 4) % len(COLOUR_NAMES)
            if scenes.is_held_out(name, count, COLOUR_NAMES[colour]) == held_out:
                yield index, count, colour
                break


def write(path, comment, prompts):
    path.write_text(f"# {comment}\n" + "\n".join(prompts) + "\n", encoding="utf-8")


def cat_prompts(colours):
    return [form.format(colour).replace("a orange", "an orange") for colour in colours for form in CAT_FORMS]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "emoji-train.txt", f"One prompt for each of the {len(OBJECTS)} objects of the emoji model.",
          [captions.plain_caption(*combination) for combination in combinations(False)])
    write(folder / "emoji-heldout.txt", "Combinations of object, number and ground that the emoji model never saw.",
          [captions.plain_caption(*combination) for combination in combinations(True)])
    write(folder / "emoji-cats-train.txt", "Cats, no number named; other grounds than in emoji-cats-heldout.txt.", cat_prompts(CAT_TRAIN))
    write(folder / "emoji-cats-heldout.txt", "Cats, no number named; other grounds than in emoji-cats-train.txt.", cat_prompts(CAT_HELD_OUT))
