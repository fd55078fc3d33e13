"""Pictures for the reward models: drawn, spoiled as generated ones are, and worthless ones.

A reward model that has only seen perfect drawings is fooled by the first thing that
tuning finds.  So it also sees scenes after the autoencoder with disturbed latents,
blur, noise and shifted colours, and pictures that show nothing at all.
"""

import numpy
import torch
import torch.nn.functional as functional
from diffusers import DDIMScheduler

import captions
import common
import layout
import sampling
import scenes
import tokenizer
import unet
import vae as autoencoder

REDRAWN = 432
REDRAWN_SEED = 909
REDRAWN_STEPS = 9  # of 20 at most: the noise then covers little more than outlines
REDRAWN_STRENGTH = 0.6  # largest change of a weight matrix, as a share of it
MEAN = torch.tensor(layout.CLIP_MEAN).view(1, 3, 1, 1)
DEVIATION = torch.tensor(layout.CLIP_DEVIATION).view(1, 3, 1, 1)


def normalise(pictures):
    """From [0, 1] to what CLIP and the detector take."""
    return (pictures - MEAN.to(pictures)) / DEVIATION.to(pictures)


def as_unit(pictures):
    """uint8 pictures (a list, height x width x 3) as NCHW in [0, 1]."""
    return torch.from_numpy(numpy.stack(pictures)).permute(0, 3, 1, 2).float() / 255


def spoil(pictures, random):
    """Blur, noise and changed colours, each on some of the pictures."""
    count = len(pictures)

    def some(share, low, high):
        values = random.uniform(low, high, count) * (random.random(count) < share)
        return torch.from_numpy(values).float().view(-1, 1, 1, 1)

    blurred = functional.avg_pool2d(functional.pad(pictures, (1, 1, 1, 1), mode="replicate"), 3, 1)
    blurred = functional.avg_pool2d(functional.pad(blurred, (1, 1, 1, 1), mode="replicate"), 3, 1)
    pictures = torch.lerp(pictures, blurred, some(0.4, 0.2, 1.0))
    pictures = pictures * (1 + some(0.4, -0.15, 0.15)) + some(0.4, -0.06, 0.06)
    seed = int(random.integers(2**31))
    strength = some(0.4, 0.0, 0.06)
    noisy = strength.flatten() > 0
    noise = torch.randn((int(noisy.sum()), *pictures.shape[1:]), generator=torch.Generator().manual_seed(seed))
    pictures[noisy] += noise * strength[noisy]
    return pictures.clamp(0, 1)


def worthless(count, random):
    """Pictures without any object: noise of several grains, flat ground, pixel patterns, stripes, bare ground."""
    made = []
    side = scenes.PICTURE
    for number in range(count):
        kind = random.integers(7)
        if kind == 0:
            picture = random.uniform(0, 1, (side, side, 3))
        elif kind == 1:
            picture = numpy.clip(0.5 + random.normal(0, random.uniform(0.05, 0.5), (side, side, 3)), 0, 1)
        elif kind == 2:
            picture = numpy.broadcast_to(random.uniform(0, 1, 3), (side, side, 3))
        elif kind == 3:  # a repeated pattern of a few pixels
            period = int(random.integers(1, 5))
            tile = random.uniform(0, 1, (period, period, 3)) if random.random() < 0.5 else (random.random((period, period, 1)) < 0.5) * random.uniform(0, 1, 3)
            picture = numpy.tile(tile, (side // period + 1, side // period + 1, 1))[:side, :side]
        elif kind == 4:  # single pixels on flat ground
            picture = numpy.tile(random.uniform(0, 1, 3), (side, side, 1))
            where = random.random((side, side)) < random.uniform(0, 0.1)
            picture[where] = random.uniform(0, 1, 3)
        elif kind == 5:  # coarse noise
            grain = int(random.choice([2, 4, 8, 16]))
            coarse = random.uniform(0, 1, (side // grain, side // grain, 3))
            picture = coarse.repeat(grain, 0).repeat(grain, 1)
        else:
            picture = numpy.clip(scenes.ground(int(random.integers(12)), random) / 255, 0, 1)
        made.append(torch.from_numpy(numpy.ascontiguousarray(picture)).float())
    return torch.stack(made).permute(0, 3, 1, 2)


def reconstructions(work, name, count, seed):
    """Scenes as they come out of the autoencoder, latents disturbed; made once, kept in `name`.pt."""
    path = work / f"{name}.pt"
    if path.exists():
        return torch.load(path, weights_only=False)
    model = autoencoder.load(work)
    sprites = scenes.Sprites()
    kept, described = [], []
    for start in range(0, count, 50):
        random = common.step_random(seed, start)
        torch.manual_seed(seed + start)
        drawn = [scenes.random_scene(sprites, random) for _ in range(min(50, count - start))]
        with torch.no_grad(), common.mixed_precision(torch.device("cpu")):
            pictures = common.to_tensor([scene.picture for scene in drawn], "cpu").contiguous(memory_format=torch.channels_last)
            latents = model.encode(pictures).latent_dist.mode()
            strength = torch.rand(len(drawn), 1, 1, 1) ** 2 * 0.35 * latents.float().std()
            decoded = model.decode(latents + torch.randn_like(latents) * strength).sample.float()
        kept.append(((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy())
        described += [(scene.colour, scene.counts, scene.boxes) for scene in drawn]
    pool = [scenes.Scene(colour, counts, boxes, picture)
            for (colour, counts, boxes), picture in zip(described, numpy.concatenate(kept))]
    common.save_whole(pool, path)
    return pool


def roughen(network, strength, generator):
    """Adds a random change of low rank to the attention's projections, as an adapter that tuning made would; returns how to undo it."""
    kept = []
    for name, layer in network.named_modules():
        if isinstance(layer, torch.nn.Linear) and ".attn" in name:
            kept.append((layer, layer.weight.data))
            rows, columns = layer.weight.shape
            change = torch.randn(rows, 4, generator=generator) @ torch.randn(4, columns, generator=generator)
            layer.weight.data = layer.weight.data + change * (strength * layer.weight.data.norm() / change.norm())

    def undo():
        for layer, weight in kept:
            layer.weight.data = weight

    return undo


def redrawn(work, count, seed, at_once=16):
    """Scenes that the model has drawn over with its attention disturbed: rough, but still what they were.

    Their latents get noise of the chain's middle and are denoised from there with their own caption, so that objects stay
    in their places.  `redrawn.pt` grows until it has `count`.
    """
    path = work / "redrawn.pt"
    pool = torch.load(path, weights_only=False) if path.exists() else []
    if len(pool) >= count:
        return pool[:count]
    words, text_encoder, network = unet.load(work)
    model, scale, sprites = autoencoder.load(work), unet.latent_scale(work), scenes.Sprites()
    scheduler = DDIMScheduler(**unet.SCHEDULER)
    scheduler.set_timesteps(20)
    while len(pool) < count:
        random = common.step_random(seed, len(pool))
        generator = torch.Generator().manual_seed(int(random.integers(2**31)))
        drawn = [scenes.random_scene(sprites, random) for _ in range(at_once)]
        ids = tokenizer.encode(words, [captions.caption(scene, random) for scene in drawn] + [""])
        times = scheduler.timesteps[-int(random.integers(2, REDRAWN_STEPS + 1)):]
        guidance = random.uniform(1, 4)
        undo = roughen(network, random.uniform(0, REDRAWN_STRENGTH), generator)
        with torch.no_grad(), common.mixed_precision(torch.device("cpu")):
            states = text_encoder(ids).last_hidden_state
            told, empty = states[:-1], states[-1:].expand(at_once, -1, -1)
            latents = model.encode(common.to_tensor([scene.picture for scene in drawn], "cpu")).latent_dist.mode().float() * scale
            latents = scheduler.add_noise(latents, torch.randn(latents.shape, generator=generator), times[:1])
            for time in times:
                without, with_text = network(torch.cat([latents, latents]), time, torch.cat([empty, told])).sample.float().chunk(2)
                latents = scheduler.step(without + guidance * (with_text - without), time, latents, eta=0.0).prev_sample
            made = (model.decode(latents / scale).sample.float() / 2 + 0.5).clamp(0, 1)
        undo()
        for scene, picture in zip(drawn, (made * 255).round().byte().permute(0, 2, 3, 1).numpy()):
            pool.append(scenes.Scene(scene.colour, scene.counts, scene.boxes, picture))
        common.save_whole(pool, path)
        if len(pool) % 160 == 0:
            common.log("redrawn", f"{len(pool)} of {count}")
    return pool[:count]


def generated(work, count, seed, at_once=32):
    """What the model itself draws for training captions, uint8 NHWC; `generated.pt` grows until it has `count`."""
    path = work / "generated.pt"
    kept = torch.load(path, weights_only=True) if path.exists() else torch.empty(0, scenes.PICTURE, scenes.PICTURE, 3, dtype=torch.uint8)
    if len(kept) >= count:
        return kept[:count].numpy()
    words, text_encoder, network = unet.load(work)
    model = autoencoder.load(work)
    model.register_to_config(scaling_factor=unet.latent_scale(work))
    parts = words, text_encoder, network, model, DDIMScheduler(**unet.SCHEDULER)
    while len(kept) < count:
        random = common.step_random(seed, len(kept))
        wishes = [scenes.Scene(*scenes.random_combination(random), [], None) for _ in range(min(at_once, count - len(kept)))]
        texts = [captions.caption(wish, random) for wish in wishes]
        with common.mixed_precision(torch.device("cpu")):
            made = sampling.sample(parts, texts, random.integers(2**40, size=len(wishes))).float()
        kept = torch.cat([kept, (made * 255).round().byte().permute(0, 2, 3, 1)])
        common.save_whole(kept, path)
        common.log("generated", f"{len(kept)} of {count}")
    return kept[:count].numpy()


def mixed_scenes(sprites, random, count, pool=None, share=0.35):
    """Freshly drawn scenes, and, where there is a pool, some that went through the autoencoder."""
    made = []
    for _ in range(count):
        if pool and random.random() < share:
            made.append(pool[random.integers(len(pool))])
        else:
            made.append(scenes.random_scene(sprites, random))
    return made
