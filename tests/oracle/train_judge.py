#!/usr/bin/env python3
"""Trains the judge (judge.py) on drawn scenes of its own seed, spoiled, and as the autoencoder gives them back."""

import pathlib
import sys

import numpy
import torch
import torch.nn.functional as functional
from safetensors.torch import save_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import judge  # noqa: E402  (also puts the training recipe on the path)

import common  # noqa: E402
import muon  # noqa: E402
import pictures  # noqa: E402
import scenes  # noqa: E402

SEED = 90001
BATCH = 32
STEPS = 700
FROM_RECONSTRUCTIONS = 350


def target_maps(batch):
    """A small bell at every object's centre, in its class."""
    maps = torch.zeros(len(batch), len(judge.NAMES), judge.CELLS, judge.CELLS)
    grid = torch.arange(judge.CELLS) + 0.5
    for number, scene in enumerate(batch):
        for index, x0, y0, x1, y1 in scene.boxes:
            x, y = ((v * judge.CELLS / judge.SIDE) for v in ((x0 + x1) / 2, (y0 + y1) / 2))
            bell = torch.exp(-((grid[None] - x) ** 2 + (grid[:, None] - y) ** 2) / (2 * 0.8 ** 2))
            bell[min(judge.CELLS - 1, int(y)), min(judge.CELLS - 1, int(x))] = 1
            maps[number, index] = torch.maximum(maps[number, index], bell)
    return maps


def centre_loss(heat, maps):
    """CenterNet's focal loss: cells near a centre are punished less."""
    score = heat.sigmoid().clamp(1e-5, 1 - 1e-5)
    centre = maps == 1
    positive = ((1 - score) ** 2 * score.log())[centre].sum()
    negative = ((1 - maps) ** 4 * score ** 2 * (1 - score).log())[~centre].sum()
    return -(positive + negative) / centre.sum()


def train(work, steps, pool_size=1000, peak=2e-3):
    common.seed_everything(SEED)
    sprites = scenes.Sprites()
    network = judge.Network().to(memory_format=torch.channels_last)
    optimiser = muon.Muon(network.named_parameters(), lr=peak, weight_decay=1e-3)
    progress = common.Progress(work / "judge.pt", model=network, optimiser=optimiser)
    step = progress.resume()
    change = min(FROM_RECONSTRUCTIONS, steps // 2)
    pool = None
    while step < steps:
        random = common.step_random(SEED, step)
        if step >= change and pool is None:
            pool = pictures.reconstructions(work, "judge-reconstructions", pool_size, SEED + 1)
        batch = pictures.mixed_scenes(sprites, random, BATCH - 2, pool)
        drawn = pictures.spoil(pictures.as_unit([scene.picture for scene in batch]), random)
        inputs = torch.cat([drawn, pictures.worthless(2, random)]).contiguous(memory_format=torch.channels_last)
        maps = torch.cat([target_maps(batch), torch.zeros(2, len(judge.NAMES), judge.CELLS, judge.CELLS)])
        colours = torch.tensor([scene.colour for scene in batch])
        with common.mixed_precision(torch.device("cpu")):
            heat, ground = network(inputs)
        loss = centre_loss(heat.float(), maps) + functional.cross_entropy(ground[:len(batch)].float(), colours)
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            common.log("judge", f"step {step} loss {loss.item():.4f}")
        progress.save(step)
    progress.save(step, always=True)
    network.eval()
    state = {name: value.half().contiguous() if value.dim() == 4 else value.contiguous() for name, value in network.state_dict().items()}
    target = judge.WEIGHTS if steps == STEPS else work / "judge.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, target)
    right, total = accuracy(judge.Judge(target), sprites)
    common.log("judge", f"drawn scenes never trained on: everything right in {right} of {total}")


def accuracy(network, sprites, count=512, seed=424242):
    """Scenes in which all objects are counted right and the ground is named right."""
    random = numpy.random.default_rng(seed)
    drawn = [scenes.random_scene(sprites, random, held_out=random.random() < 0.5) for _ in range(count)]
    counts, colours = network.look(pictures.as_unit([scene.picture for scene in drawn]))
    wanted = torch.zeros_like(counts)
    for number, scene in enumerate(drawn):
        for index, many in scene.counts.items():
            wanted[number, index] = many
    right = (counts == wanted).all(dim=1) & (colours == torch.tensor([scene.colour for scene in drawn]))
    return int(right.sum()), count


if __name__ == "__main__":
    arguments = common.parse_arguments(__doc__, steps=STEPS)
    if arguments.quick:
        train(arguments.work, 4, pool_size=20)
    else:
        train(arguments.work, arguments.steps)
