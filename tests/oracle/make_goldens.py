#!/usr/bin/env python3
"""Writes tests/golden/*.safetensors: what diffusers, transformers and torch compute from the shipped emoji files.

Everything runs in fp32 on one CPU thread.  Weights are the shipped half-precision
values widened to fp32, so an engine that reads the same files differs by rounding in
its arithmetic only.  tests/golden/README.md says what every tensor is.

    python tests/oracle/make_goldens.py [--model presets/models/emoji] [--out tests/golden]
"""

import argparse
import pathlib
import sys

import torch
import torch.nn.functional as functional
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "presets" / "models" / "emoji" / "train"))

import layout  # noqa: E402
import pictures  # noqa: E402
import sampling  # noqa: E402
import tokenizer  # noqa: E402

CAPTIONS = ["three cats on a blue background", "a dog and two pizzas", "Rockets, pink background!", ""]
STEPS, GUIDANCE, KEPT, RANK = 20, 4.0, 3, 4
REWARDS = {"clip": 4.0, "brightness": 6.0}  # the adapter's alpha; one is not the rank, so alpha / rank shows
QUERIES = ["cat", "a dog", "rockets"]


def seeded(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def text_goldens(parts):
    ids = tokenizer.encode(parts[0], CAPTIONS)
    return {"input_ids": ids.int(), "last_hidden_state": parts[1](ids).last_hidden_state}


def unet_goldens(parts, text):
    tensors = {"latents": seeded(11, 2, 4, 16, 16), "text_states": text["last_hidden_state"][[0, 3]]}
    for time in (1, 401, 951):
        tensors[f"output.{time}"] = parts[2](tensors["latents"], time, tensors["text_states"]).sample
    return tensors


def chain_goldens(parts):
    """The whole chain without an adapter, and its end decoded."""
    words, text_encoder, unet, vae, scheduler = parts
    ids = tokenizer.encode(words, [CAPTIONS[0], ""])
    states = text_encoder(ids).last_hidden_state
    scheduler.set_timesteps(STEPS)
    latents = seeded(12, 1, 4, 16, 16)
    tensors = {"input_ids": ids.int(), "initial": latents, "timesteps": scheduler.timesteps.int()}
    norms = []
    for time in scheduler.timesteps:
        latents, _ = guided_step(unet, scheduler, latents, time, states[:1], states[1:])
        norms.append(latents.norm())
    tensors.update({"norms": torch.stack(norms), "final": latents, "picture": vae.decode(latents / vae.config.scaling_factor).sample})
    return tensors


def guided_step(unet, scheduler, latents, time, told, empty):
    both = unet(torch.cat([latents, latents]), time, torch.cat([empty, told])).sample
    without, with_text = both.chunk(2)
    prediction = without + GUIDANCE * (with_text - without)
    return scheduler.step(prediction, time, latents, eta=0.0).prev_sample, prediction


def clip_goldens(folder, images):
    model, words = layout.read_clip(folder / "rewards" / "clip")
    ids = tokenizer.encode(words, CAPTIONS)
    output = model(input_ids=ids, pixel_values=pictures.normalise(images))
    return {"input_ids": ids.int(), "image_embeds": output.image_embeds, "text_embeds": output.text_embeds,
            "cosines": output.image_embeds @ output.text_embeds.t()}


def aesthetic_goldens(folder, clip):
    import aesthetic
    head = aesthetic.Head()
    layout.read_weights(head, folder / "rewards" / "aesthetic" / "model.safetensors")
    return {"scores": head(clip["image_embeds"]).squeeze(-1)}


def detector_goldens(folder, images):
    model, words = layout.read_detector(folder / "rewards" / "detector")
    ids = tokenizer.encode(words, QUERIES, length=16)
    output = model(input_ids=ids.repeat(len(images), 1), pixel_values=pictures.normalise(images))
    return {"input_ids": ids.int(), "logits": output.logits, "boxes": output.pred_boxes}


class Adapted(torch.nn.Module):
    """A frozen linear map plus alpha / rank * B A."""

    def __init__(self, base, down, up, scale):
        super().__init__()
        self.base, self.down, self.up, self.scale = base, down, up, scale

    def forward(self, x):
        return self.base(x) + self.scale * functional.linear(functional.linear(x, self.down), self.up)


def adapt(unet, alpha, seed):
    """Random non-zero factors on every attention projection; returns {name: (down, up)}.

    The factors are drawn at a size that moves the picture but does not destroy it and are
    rounded to half precision, so that the file may store them exactly in half the space.
    """
    factors = {}
    names = [name for name, module in unet.named_modules()
             if isinstance(module, torch.nn.Linear) and (".attn1." in name or ".attn2." in name)]
    for number, name in enumerate(names):
        base = unet.get_submodule(name)
        down = (seeded(seed + 2 * number, RANK, base.in_features) * 0.2 / base.in_features ** 0.5).half().float().requires_grad_()
        up = (seeded(seed + 2 * number + 1, base.out_features, RANK) * 0.2).half().float().requires_grad_()
        parent, leaf = name.rsplit(".", 1)
        setattr(unet.get_submodule(parent), leaf, Adapted(base, down, up, alpha / RANK))
        factors[name] = (down, up)
    return factors


def gradient_goldens(folder, reward, alpha):
    """d reward / d factors through the last KEPT of STEPS steps; the latent that enters them is a constant."""
    words, text_encoder, unet, vae, scheduler = layout.read_pipeline(folder)
    factors = adapt(unet, alpha, seed=1000)
    ids = tokenizer.encode(words, [CAPTIONS[0], ""])
    with torch.no_grad():
        states = text_encoder(ids).last_hidden_state
    scheduler.set_timesteps(STEPS)
    latents = seeded(12, 1, 4, 16, 16)
    tensors = {"input_ids": ids.int(), "initial": latents, "alpha": torch.tensor([alpha])}
    for number, time in enumerate(scheduler.timesteps):
        if number == STEPS - KEPT:
            tensors["entering"] = latents
        with torch.set_grad_enabled(number >= STEPS - KEPT):
            latents, _ = guided_step(unet, scheduler, latents, time, states[:1], states[1:])
    images = (vae.decode(latents / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
    if reward == "clip":
        model, reward_words = layout.read_clip(folder / "rewards" / "clip")
        output = model(input_ids=tokenizer.encode(reward_words, CAPTIONS[:1]), pixel_values=pictures.normalise(images))
        value = (output.image_embeds * output.text_embeds).sum(dim=-1).mean()
    else:
        # Luma by Rec. 601, as JPEG has it.
        luma = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
        value = (images * luma).sum(dim=1).mean()
    gradients = torch.autograd.grad(value, [factor for pair in factors.values() for factor in pair])
    tensors["reward"], tensors["final"] = value.detach()[None], latents.detach()
    for (name, (down, up)), down_gradient, up_gradient in zip(factors.items(), gradients[::2], gradients[1::2]):
        tensors[f"{name}.A"], tensors[f"{name}.B"] = down.detach().half(), up.detach().half()
        tensors[f"{name}.grad_A"], tensors[f"{name}.grad_B"] = down_gradient, up_gradient
    return tensors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "presets" / "models" / "emoji")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False  # plain fp32 products, whatever the processor offers
    arguments.out.mkdir(parents=True, exist_ok=True)

    def write(name, tensors):
        path = arguments.out / f"emoji-{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        print(f"{path.name}: {path.stat().st_size} bytes")

    parts = layout.read_pipeline(arguments.model)
    with torch.no_grad():
        text = text_goldens(parts)
        write("text-encoder", text)
        write("unet", unet_goldens(parts, text))
        chain = chain_goldens(parts)
        write("chain", chain)
        # One sampled picture and one of the same latents decoded half-way, so that the two differ.
        other = parts[3].decode(seeded(13, 1, 4, 16, 16) / parts[3].config.scaling_factor).sample
        latents = seeded(13, 1, 4, 16, 16)
        write("vae", {"latents": latents, "picture": other})
        images = (torch.cat([chain["picture"], other]) / 2 + 0.5).clamp(0, 1)
        clip = clip_goldens(arguments.model, images)
        write("rewards", {"images": images, **{f"clip.{k}": v for k, v in clip.items()},
                          **{f"aesthetic.{k}": v for k, v in aesthetic_goldens(arguments.model, clip).items()},
                          **{f"detector.{k}": v for k, v in detector_goldens(arguments.model, images).items()}})
    for reward, alpha in REWARDS.items():
        write(f"gradient-{reward}", gradient_goldens(arguments.model, reward, alpha))


if __name__ == "__main__":
    main()
