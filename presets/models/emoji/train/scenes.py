"""Draws the training pictures: emoji placed without overlap on a coloured ground.

Every sprite is rendered once for each object, rotation and size; a scene is then
only a few alpha blends, about a millisecond, so pictures need not be stored.
"""

import dataclasses
import hashlib

import numpy
from PIL import Image, ImageDraw, ImageFont

from vocabulary import COLOUR_NAMES, COLOURS, NAMES, OBJECTS

PICTURE = 128
DEFAULT_FONT = "/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"  # where Debian puts it
FONT_PIXELS = 109  # the only size at which Noto Color Emoji carries bitmaps
ROTATIONS = tuple(range(-20, 21, 5))
SMALLEST, LARGEST, SIZE_STEP = 28, 76, 2
# Sizes by how many objects are in the scene.  They shrink only as far as six
# objects force them to, so that number is told by counting, not by size alone.
SIZES = {1: (50, 76), 2: (44, 58), 3: (40, 52), 4: (38, 48), 5: (34, 42), 6: (32, 40)}


@dataclasses.dataclass
class Scene:
    colour: int  # index into COLOUR_NAMES
    counts: dict  # object index -> how many
    boxes: list  # (object index, x0, y0, x1, y1) in pixels, the opaque part
    picture: numpy.ndarray  # uint8 height x width x 3


class Sprites:
    """Emoji as premultiplied RGBA arrays, rendered on first use and kept."""

    def __init__(self, font_path=DEFAULT_FONT):
        self.font = ImageFont.truetype(font_path, FONT_PIXELS)
        self.originals = {}
        self.kept = {}

    def original(self, index):
        """The emoji as the font has it, its four premultiplied channels as single pictures.

        Drawn on black and on white: the black one is the premultiplied colour, and how
        much less the white one changes is the opacity.  Drawing on a clear ground
        would blend the edge with the clear ground's black.
        """
        if index not in self.originals:
            drawn = {}
            for shade in ("black", "white"):
                canvas = Image.new("RGB", (160, 160), shade)
                ImageDraw.Draw(canvas).text((12, 8), OBJECTS[index].emoji, font=self.font, embedded_color=True)
                drawn[shade] = numpy.asarray(canvas, numpy.int16)
            opacity = 255 - (drawn["white"] - drawn["black"]).mean(axis=2)
            layers = [drawn["black"][..., channel] for channel in range(3)] + [opacity]
            images = [Image.fromarray(layer.round().clip(0, 255).astype(numpy.uint8)) for layer in layers]
            self.originals[index] = crop_to_opaque(images)
        return self.originals[index]

    def get(self, index, rotation, size):
        """The emoji turned by `rotation` degrees, its longer side `size` pixels."""
        key = (index, rotation, size)
        if key not in self.kept:
            turned = [layer.rotate(rotation, Image.Resampling.BICUBIC, expand=True) for layer in self.original(index)]
            turned = crop_to_opaque(turned)
            scale = size / max(turned[0].size)
            target = [max(1, round(side * scale)) for side in turned[0].size]
            layers = [numpy.asarray(layer.resize(target, Image.Resampling.LANCZOS)) for layer in turned]
            sprite = numpy.stack(layers, axis=-1)
            self.kept[key] = numpy.minimum(sprite, sprite[..., 3:])  # ringing must not outshine the opacity
        return self.kept[key]


def crop_to_opaque(layers):
    box = layers[3].point(lambda opacity: 255 * (opacity > 8)).getbbox()
    return [layer.crop(box) for layer in layers]


def is_held_out(name, count, colour):
    """One in ten combinations of object, number and colour is never drawn for training."""
    digest = hashlib.sha256(f"{name}/{count}/{colour}".encode()).digest()
    return digest[0] % 10 == 0


def ground(colour_index, random):
    """A background colour, slightly varied, with a soft gradient across it."""
    base = numpy.array(COLOURS[COLOUR_NAMES[colour_index]], numpy.float32)
    base = base + random.uniform(-7, 7, 3) + random.uniform(-6, 6)
    angle = random.uniform(0, 2 * numpy.pi)
    line = numpy.linspace(-1, 1, PICTURE, dtype=numpy.float32)
    ramp = (numpy.cos(angle) * line[None, :] + numpy.sin(angle) * line[:, None]) * random.uniform(0, 12)
    return base.astype(numpy.float32) + ramp[..., None]


def place(sizes, random):
    """Corners for boxes (height, width) that neither overlap nor leave the picture, or None."""
    gap, margin = 3, 2
    for _ in range(12):
        boxes = []
        for height, width in sizes:
            for _ in range(25):
                x = int(random.integers(margin, PICTURE - margin - width + 1))
                y = int(random.integers(margin, PICTURE - margin - height + 1))
                if all(x + width + gap <= bx0 or bx1 + gap <= x or y + height + gap <= by0 or by1 + gap <= y
                       for bx0, by0, bx1, by1 in boxes):
                    boxes.append((x, y, x + width, y + height))
                    break
            else:
                break
        if len(boxes) == len(sizes):
            return boxes
    return None


def draw(sprites, colour, counts, random):
    """A Scene with the given objects: `counts` maps an object's index to how many."""
    indices = [index for index, count in counts.items() for _ in range(count)]
    random.shuffle(indices)
    low, high = SIZES[len(indices)]
    while True:
        # One size for the scene, varied a little from object to object.
        middle = random.uniform(low, high)
        chosen = []
        for index in indices:
            size = numpy.clip(middle * random.uniform(0.92, 1.08), max(low - 2, SMALLEST), high)
            size = int(round(size / SIZE_STEP) * SIZE_STEP)
            chosen.append(sprites.get(index, ROTATIONS[random.integers(len(ROTATIONS))], size))
        boxes = place([sprite.shape[:2] for sprite in chosen], random)
        if boxes is not None:
            break
        high = max(low, high - 2)
    canvas = ground(colour, random)
    for sprite, (x0, y0, x1, y1) in zip(chosen, boxes):
        alpha = sprite[..., 3:].astype(numpy.float32) / 255
        canvas[y0:y1, x0:x1] = canvas[y0:y1, x0:x1] * (1 - alpha) + sprite[..., :3]
    picture = numpy.clip(canvas + 0.5, 0, 255).astype(numpy.uint8)
    return Scene(colour, dict(counts), [(i, *box) for i, box in zip(indices, boxes)], picture)


def random_counts(random, two_kinds=0.25):
    """Which objects and how many.  One to four carry most of the weight: they are what is measured."""
    if random.random() < two_kinds:
        first, second = random.choice(len(NAMES), 2, replace=False)
        total = int(random.choice([2, 3, 4, 5], p=[0.55, 0.25, 0.15, 0.05]))
        split = int(random.integers(1, total))
        return {int(first): split, int(second): total - split}
    count = int(random.choice([1, 2, 3, 4, 5, 6], p=[0.22, 0.24, 0.22, 0.18, 0.08, 0.06]))
    return {int(random.integers(len(NAMES))): count}


def holds_back(colour, counts):
    """Whether anything of a combination is held out of training."""
    return any(is_held_out(NAMES[index], count, COLOUR_NAMES[colour]) for index, count in counts.items())


def random_combination(random, held_out=False, two_kinds=0.25):
    """A ground and what is on it (object index -> how many), from the training combinations or the held-out ones."""
    while True:
        counts = random_counts(random, two_kinds)
        colour = int(random.integers(len(COLOUR_NAMES)))
        if holds_back(colour, counts) == held_out:
            return colour, counts


def random_scene(sprites, random, held_out=False, two_kinds=0.25):
    """A drawn scene of a random combination."""
    colour, counts = random_combination(random, held_out, two_kinds)
    return draw(sprites, colour, counts, random)
