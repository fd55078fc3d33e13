"""Changes pictures within a small distance so that a reward model errs most: what tuning will try.

Tuning climbs a reward's gradient, so a reward model that small changes can fool teaches how
to fool it.  Trained on pictures changed against it, its gradient points at what a person
would see as the object instead (Madry et al. 2018, Engstrom et al. 2019).
"""

import torch
import torch.nn.functional as functional

RADIUS = 7.0  # most L2 distance of pictures in [0, 1]; a small object on its ground is worth about 20
GRAINS = (1, 2, 4, 8)  # pixels a side: a decoder makes coarse changes more easily than fine ones


def coarser(change, grain):
    """The change without what is finer than `grain` pixels."""
    if grain == 1:
        return change
    size = change.shape[-2:]
    return functional.interpolate(functional.avg_pool2d(change, grain), size, mode="bilinear", align_corners=False)


def in_grains(changes, grains):
    """Each picture's change at its own grain."""
    return torch.cat([coarser(change[None], grain) for change, grain in zip(changes, grains)])


def unit(changes):
    """Each picture's change at length 1."""
    return changes / changes.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)


def attack(pictures, loss_of, random, radius=RADIUS, steps=2):
    """Pictures in [0, 1], each moved by up to its own radius (0 to `radius`, uniformly) toward a higher `loss_of(pictures)`.

    Projected gradient ascent from a random start.  `loss_of` must be a sum over pictures, up to a factor: a
    picture's gradient may not depend on the others'.
    """
    count = len(pictures)
    grains = random.choice(GRAINS, count)
    radii = torch.from_numpy(random.uniform(0, radius, count)).float().view(-1, 1, 1, 1)
    generator = torch.Generator().manual_seed(int(random.integers(2**31)))
    start = unit(in_grains(torch.randn(pictures.shape, generator=generator), grains))
    change = start * radii * torch.rand(count, 1, 1, 1, generator=generator)
    for _ in range(steps):
        moved = (pictures + change).clamp(0, 1).requires_grad_(True)
        gradient, = torch.autograd.grad(loss_of(moved), moved)
        change = change + unit(in_grains(gradient, grains)) * radii * (1.5 / steps)
        length = change.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        change = change * (radii / length.clamp(min=1e-12)).clamp(max=1)
    return (pictures + change).clamp(0, 1).detach()
