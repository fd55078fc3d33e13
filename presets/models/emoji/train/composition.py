"""A score of a picture's composition, computed from its pixels.

There are no human ratings behind it.  It says four measurable things about a picture
of objects on plain ground, each from 0 to 1, and their weighted sum is put on the
scale from 0 to 10 that aesthetic heads use:

- contrast: how far the object's colours stand from the ground's;
- balance: how near the objects' centre of mass is to the middle of the picture;
- wholeness: nothing touches the border;
- harmony: the objects' colours and the ground are of neighbouring or opposite hue.
"""

import numpy

WEIGHTS = {"contrast": 3.5, "balance": 3.0, "wholeness": 2.0, "harmony": 1.5}


def hue_vector(colour):
    """A colour's direction on the colour wheel and its saturation there (opponent axes)."""
    red, green, blue = colour[..., 0], colour[..., 1], colour[..., 2]
    return numpy.stack([red - 0.5 * (green + blue), 0.8660254 * (green - blue)], axis=-1)


def separate(picture):
    """Objects from ground, at every pixel of a picture in [0, 1]: the ground's colour, the distance from it, whether there is an object."""
    side = picture.shape[0]
    ring = numpy.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    places = numpy.stack([numpy.ones((side, side)), *positions(side)], axis=-1)
    # The ground may have a gradient: a plane through the border pixels, fitted twice, the second time without outliers.
    border = numpy.concatenate([places[0], places[-1], places[:, 0], places[:, -1]])
    middle = numpy.median(ring, axis=0)
    near = numpy.abs(ring - middle).max(axis=1) < 0.2
    if near.sum() < 20:
        near[:] = True
    plane, *_ = numpy.linalg.lstsq(border[near], ring[near], rcond=None)
    ground = places @ plane
    distance = numpy.sqrt(((picture - ground) ** 2).mean(axis=2))
    return ground, distance, distance > 0.09


def positions(side):
    """x and y of every pixel, from -1 to 1."""
    y, x = numpy.meshgrid(numpy.linspace(-1, 1, side), numpy.linspace(-1, 1, side), indexing="ij")
    return x, y


def parts_of_score(picture):
    """The four parts for one picture, height x width x 3 in [0, 1]."""
    ground, distance, mask = separate(picture)
    x, y = positions(picture.shape[0])
    area = mask.mean()
    if area < 0.01:
        return dict.fromkeys(WEIGHTS, 0.0)
    contrast = min(1.0, distance[mask].mean() / 0.4)
    # A picture that is all "object" has no ground to stand on: noise must not count as contrast.
    emptiness = min(1.0, max(0.0, (0.75 - area) / 0.25))
    centre = numpy.array([(x * mask).sum(), (y * mask).sum()]) / mask.sum()
    balance = max(0.0, 1.0 - numpy.hypot(*centre) / 0.6)
    touching = numpy.concatenate([mask[:2].ravel(), mask[-2:].ravel(), mask[:, :2].ravel(), mask[:, -2:].ravel()]).mean()
    wholeness = max(0.0, 1.0 - touching / 0.12)
    ours, theirs = hue_vector(picture[mask].mean(axis=0)), hue_vector(ground.reshape(-1, 3).mean(axis=0))
    sizes = numpy.hypot(*ours), numpy.hypot(*theirs)
    if min(sizes) < 0.04:
        harmony = 0.75  # a grey goes with everything
    else:
        angle = numpy.arccos(numpy.clip(numpy.dot(ours, theirs) / (sizes[0] * sizes[1]), -1, 1))
        harmony = 0.5 + 0.5 * numpy.cos(2 * angle)  # 1 at the same and at the opposite hue
    parts = {"contrast": contrast, "balance": balance, "wholeness": wholeness, "harmony": harmony}
    return {name: float(value * emptiness) for name, value in parts.items()}


def score(picture):
    """0 to 10."""
    parts = parts_of_score(picture)
    return sum(WEIGHTS[name] * parts[name] for name in WEIGHTS)


def off_edge(scene, random):
    """The scene's picture moved so that something may be cut off; the ground goes on at the border."""
    moved = numpy.asarray(scene.picture)
    dx, dy = (int(v) for v in random.integers(-40, 41, 2))
    padded = numpy.pad(moved, ((40, 40), (40, 40), (0, 0)), mode="edge")
    return padded[40 + dy:168 + dy, 40 + dx:168 + dx]
