"""DDIM sampling with guidance, from the shipped files' own parts."""

import torch

import tokenizer


def starting_latents(seeds):
    return torch.stack([torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(int(seed))) for seed in seeds])


def sample_latents(parts, prompts, seeds, steps=20, guidance=4.0):
    """Latents (scaled, as the U-Net sees them) after the whole chain."""
    words, text_encoder, unet, _, scheduler = parts
    ids = tokenizer.encode(words, list(prompts) + [""])
    with torch.no_grad():
        states = text_encoder(ids).last_hidden_state
        told, empty = states[:-1], states[-1:].expand(len(prompts), -1, -1)
        scheduler.set_timesteps(steps)
        latents = starting_latents(seeds)
        for time in scheduler.timesteps:
            both = unet(torch.cat([latents, latents]), time, torch.cat([empty, told])).sample
            without, with_text = both.chunk(2)
            latents = scheduler.step(without + guidance * (with_text - without), time, latents, eta=0.0).prev_sample
    return latents


def decode(parts, latents, at_once=32):
    """Pictures NCHW in [0, 1]."""
    vae = parts[3]
    with torch.no_grad():
        return torch.cat([(vae.decode(part / vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1) for part in latents.split(at_once)])


def sample(parts, prompts, seeds, steps=20, guidance=4.0, at_once=64):
    """Pictures NCHW in [0, 1], one for each prompt and seed."""
    made = []
    for start in range(0, len(prompts), at_once):
        latents = sample_latents(parts, prompts[start:start + at_once], seeds[start:start + at_once], steps, guidance)
        made.append(decode(parts, latents))
    return torch.cat(made)


def grid(pictures, columns):
    """One picture, uint8 height x width x 3."""
    rows = [torch.cat(list(pictures[start:start + columns]), dim=2) for start in range(0, len(pictures), columns)]
    return (torch.cat(rows, dim=1).permute(1, 2, 0) * 255).round().byte().numpy()
