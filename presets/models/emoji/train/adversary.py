"""Changes pictures within a small distance so that a reward model errs most: what tuning will try.

Tuning climbs a reward's gradient, so a reward model that small changes can fool teaches how
to fool it.  Trained on pictures changed against it, its gradient points at what a person
would see as the object instead (Madry et al. 2018, Engstrom et al. 2019).  Each batch is
met several times in a row, and one backward pass serves both the weights and the next
change of the pictures (Shafahi et al. 2019, "Adversarial training for free").
"""

import torch
import torch.nn.functional as functional

RADIUS = 7.0  # most L2 distance of pictures in [0, 1]; a small object on its ground is worth about 20
GRAINS = (1, 2, 4, 8)  # pixels a side: a decoder makes coarse changes more easily than fine ones
STRIDE = 0.7  # of a climb, as a share of the radius


def coarser(change, grain):
    """The change without what is finer than `grain` pixels."""
    if grain == 1:
        return change
    return functional.interpolate(functional.avg_pool2d(change, grain), change.shape[-2:], mode="bilinear", align_corners=False)


def lengths(changes):
    return changes.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


class Adversary:
    """Moves pictures in [0, 1], each by up to a radius of its own (0 to `radius`, uniformly) at a grain of its own."""

    def __init__(self, pictures, random, radius=RADIUS):
        count = len(pictures)
        self.pictures = pictures
        self.grains = random.choice(GRAINS, count)
        self.radii = torch.from_numpy(random.uniform(0, radius, count)).to(pictures).view(-1, 1, 1, 1)
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        self.change = torch.zeros_like(pictures)
        self._go(torch.randn(pictures.shape, generator=generator).to(pictures), 0.5)

    def _go(self, direction, share):
        coarse = torch.cat([coarser(part[None], grain) for part, grain in zip(direction, self.grains)])
        self.change = self.change + coarse / lengths(coarse) * self.radii * share
        self.change = self.change * (self.radii / lengths(self.change)).clamp(max=1)

    def moved(self):
        """The pictures as they are now, a leaf that takes a gradient."""
        return (self.pictures + self.change).clamp(0, 1).requires_grad_(True)

    def climb(self, gradient):
        """Goes where the loss rises: `gradient` of a sum over pictures, at `moved()`."""
        self._go(gradient, STRIDE)
