"""What the similarity's last training reads, drawn once and kept: pictures, their captions' embeddings, and what lies on each token.

The texts are frozen there, so a caption is its embedding, and drawing takes no time of the training.
"""

import numpy
import torch

import captions
import clip
import common
import composition
import detector
import pictures
import scenes
from vocabulary import COLOUR_NAMES, NAMES

SEED = 808
PART = 2500  # drawn pictures a file
MOVED, WORTHLESS = 10, 5  # pictures without captions that are kept for 50 with captions
RIVALS = (0, 0, 0, 0, 0, 1, 1, 2, 2, 2)  # as in clip.py; of one kind of object, every other number is a rival once
STATISTICS = 7  # of what lies on a token (statistics_of)


def rivals_of(scene, random):
    """Other scenes, for captions that are not true of this one."""
    rivals = [clip.change_once(scene, which, random) for which in RIVALS]
    if len(scene.counts) == 1:
        (index, count), = scene.counts.items()
        numbers = [number for number in range(1, len(captions.NUMBERS) + 1) if number != count]
        rivals[:len(numbers)] = [scenes.Scene(scene.colour, {index: number}, [], None) for number in numbers]
    return rivals


def describe(scene, random):
    """A true caption and one for each rival, said in the same way; and which rivals count.

    One may happen to read like the truth.  One held out of training would be learnt to be false.
    """
    way = int(random.integers(2**31))
    rivals = rivals_of(scene, random)
    texts = [captions.caption(told, numpy.random.default_rng(way)) for told in [scene] + rivals]
    counted = [text != texts[0] and not scenes.holds_back(rival.colour, rival.counts) for text, rival in zip(texts[1:], rivals)]
    return texts, counted


def every_plain_caption():
    """(object, number, colour) of each caption of one kind of object in the plain form, in the order of `plain_place`."""
    return [(index, number, colour) for index in range(len(NAMES)) for number in range(1, len(captions.NUMBERS) + 1)
            for colour in range(len(COLOUR_NAMES))]


def plain_place(scene):
    """Where a scene stands in `every_plain_caption`; -1 for two kinds of object."""
    if len(scene.counts) > 1:
        return -1
    (index, count), = scene.counts.items()
    return (index * len(captions.NUMBERS) + count - 1) * len(COLOUR_NAMES) + scene.colour


def statistics_of(picture):
    """What the composition score is made of, as means over each token's pixels: (token, statistic).

    The objects' area, its first moments along x and y, their distance from the ground, and their colour.
    """
    _, distance, mask = composition.separate(picture)
    x, y = composition.positions(scenes.PICTURE)
    maps = numpy.stack([numpy.ones_like(x), x, y, distance, *picture.transpose(2, 0, 1)], axis=-1) * mask[..., None]
    size = scenes.PICTURE // detector.GRID
    return maps.reshape(detector.GRID, size, detector.GRID, size, STATISTICS).mean(axis=(1, 3)).reshape(-1, STATISTICS)


def captioned(model, words, batch, random):
    """What training reads of scenes: pictures (uint8 NHWC), parts of the score, captions, numbers and what lies on each token."""
    texts, counted = zip(*(describe(scene, random) for scene in batch))
    with torch.no_grad(), common.mixed_precision(torch.device("cpu")):
        embedded = clip.embed_texts(model, words, [text for group in texts for text in group])
    return {"pictures": torch.from_numpy(numpy.stack([scene.picture for scene in batch])),
            "parts": clip.composition_of(pictures.as_unit([scene.picture for scene in batch])),
            "texts": embedded.view(len(batch), 1 + len(RIVALS), -1).half(),
            "rival": torch.tensor(counted),
            "plain": torch.tensor([plain_place(scene) for scene in batch]),
            "numbers": torch.tensor([len(scene.boxes) for scene in batch]),
            "shares": clip.shares_of_objects(batch),
            "statistics": torch.from_numpy(numpy.stack([statistics_of(scene.picture / 255) for scene in batch])).half()}


def uncaptioned(made, junk=False):
    """Pictures (uint8 NHWC) of which only the composition is read, and, if they are worthless, that no caption is true."""
    return {"pictures": torch.from_numpy(made), "parts": clip.composition_of(pictures.as_unit(list(made))),
            "junk": torch.full((len(made),), junk)}


def others(batch, random):
    """Scenes with something cut off, and worthless pictures."""
    moved = numpy.stack([composition.off_edge(scene, random) for scene in batch[:MOVED]])
    junk = (pictures.worthless(WORTHLESS, random) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    return joined([uncaptioned(moved), uncaptioned(junk, junk=True)])


def joined(groups):
    return {name: torch.cat([group[name] for group in groups]) for name in groups[0]}


def keep(work, model, words, count):
    """`count` drawn pictures with captions, and others in proportion; made once, in files of PART."""
    folder = work / "clip-whole-kept"
    folder.mkdir(exist_ok=True)
    sprites = scenes.Sprites()
    kept = []
    for first in range(0, count, PART):
        path = folder / f"{first}.pt"
        if not path.exists():
            groups = []
            for start in range(first, min(first + PART, count), 50):
                random = common.step_random(SEED, start)
                batch = [scenes.random_scene(sprites, random) for _ in range(50)]
                groups.append((captioned(model, words, batch, random), others(batch, random)))
            common.save_whole(dict(zip(("captioned", "others"), map(joined, zip(*groups)))), path)
            common.log("clip, whole tower", f"{min(first + PART, count)} of {count} pictures kept")
        kept.append(torch.load(path, weights_only=True))
    return tuple(joined([part[kind] for part in kept]) for kind in ("captioned", "others"))


def draw(kept, size, random):
    """A random batch."""
    chosen = torch.from_numpy(random.integers(len(kept["pictures"]), size=size))
    return {name: values[chosen] for name, values in kept.items()}


def turned(batch, random):
    """Pictures mirrored or with their axes exchanged, now and then their colours too: their composition stays what it is."""
    shown = batch["pictures"]
    for axis in (1, 2):
        if random.random() < 0.5:
            shown = shown.flip(axis)
    if random.random() < 0.5:
        shown = shown.transpose(1, 2)
    if random.random() < 0.2:
        shown = shown[..., torch.from_numpy(random.permutation(3))]
    return dict(batch, pictures=shown)
