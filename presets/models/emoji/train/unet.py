"""Trains the text encoder and the U-Net together, on cached latents.

The pictures are encoded once; a step then costs only the U-Net, and batches are large.
A tenth of the captions are empty, for guidance.  Every picture is captioned anew each
time it is used.

Polishing goes on from the finished pair with scenes of its own; the encoder, and with it
the scale of the latents, must be the one of the first training.
"""

import pathlib
import sys

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from transformers import CLIPTextConfig, CLIPTextModel

import captions
import common
import muon
import scenes
import tokenizer
import vae as autoencoder

SEED = 202
PICTURES = 10000
BATCH = 48
STEPS = 2450
POLISH_SEED = 212
POLISH_PICTURES = 15000
POLISH_STEPS = 1160
CHUNK = 5000  # scenes
WIDTH = 128  # of the text states
UNET = dict(
    sample_size=16, in_channels=4, out_channels=4, layers_per_block=1, block_out_channels=[48, 80, 112],
    down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
    cross_attention_dim=WIDTH, attention_head_dim=4, norm_num_groups=8,
)
SCHEDULER = dict(
    num_train_timesteps=1000, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012,
    prediction_type="epsilon", clip_sample=False, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading",
)


def new_text_encoder(vocabulary_size):
    return CLIPTextModel(CLIPTextConfig(
        vocab_size=vocabulary_size, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_hidden_layers=3,
        num_attention_heads=4, max_position_embeddings=tokenizer.MAXIMUM_LENGTH, hidden_act="quick_gelu",
        projection_dim=WIDTH, bos_token_id=vocabulary_size - 2, eos_token_id=vocabulary_size - 1,
        pad_token_id=vocabulary_size - 1))


def encode_scenes(work, count, seed, first):
    """`count` scenes as latents, with what is needed to caption them; `first` numbers the scenes of one seed."""
    model = autoencoder.load(work)
    where = common.device()
    sprites = scenes.Sprites()
    latents, colours, counts = [], [], []
    for start in range(0, count, 50):
        random = common.step_random(seed, first + start)
        drawn = [scenes.random_scene(sprites, random) for _ in range(min(50, count - start))]
        pictures = common.to_tensor([scene.picture for scene in drawn], where).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), common.mixed_precision(where):
            latents.append(model.encode(pictures).latent_dist.mode().float().cpu())
        colours += [scene.colour for scene in drawn]
        for scene in drawn:
            kinds = list(scene.counts.items()) + [(-1, 0)]
            counts.append([value for kind in kinds[:2] for value in kind])
    return {"latents": torch.cat(latents).half(), "colours": torch.tensor(colours), "counts": torch.tensor(counts)}


def cached_scenes(work, count, seed):
    """The scenes of a seed, encoded once; a file for every CHUNK of them, so a cut run loses little."""
    chunks = []
    for first in range(0, count, CHUNK):
        size = min(CHUNK, count - first)
        path = work / f"latents-{seed}-{first}-{size}.pt"
        if not path.exists():
            common.log("latents", f"{first} of {count}")
            common.save_whole(encode_scenes(work, size, seed, first), path)
        chunks.append(torch.load(path, weights_only=True))
    return {name: torch.cat([chunk[name] for chunk in chunks]) for name in chunks[0]}


def latent_scale(work, latents=None):
    """The factor that the U-Net's latents carry: measured on the first training's latents, then kept for good.

    It is one for all channels, as diffusers has it; channels also differ in mean, which the U-Net learns.
    """
    path = work / "scale.pt"
    if not path.exists():
        common.save_whole({"scale": 1 / latents.float().std().item()}, path)
    return torch.load(path, weights_only=True)["scale"]


def caption_cached(data, index, random):
    """A fresh caption for one cached scene."""
    first, first_count, second, second_count = data["counts"][index].tolist()
    counts = {first: first_count} if second < 0 else {first: first_count, second: second_count}
    scene = scenes.Scene(int(data["colours"][index]), counts, [], None)
    return captions.caption(scene, random, empty_share=0.1)


def train(work, steps, pictures=PICTURES, polish=False):
    where = common.device()
    seed, peak, kept_in = (POLISH_SEED, 5e-4, "unet-polish.pt") if polish else (SEED, 1e-3, "unet.pt")
    common.seed_everything(seed)
    data = cached_scenes(work, pictures, seed)
    words = tokenizer.build(work / "tokenizer")
    encoder, unet = new_text_encoder(len(words)).to(where), UNet2DConditionModel(**UNET).to(where, memory_format=torch.channels_last)
    if where.type == "cpu":
        unet.set_attn_processor(AttnProcessor())  # plain products: the fused attention's backward takes half as long again for a step
    both = torch.nn.ModuleList([encoder, unet])
    average = common.Average(both, 0.999)
    optimiser = muon.Muon(both.named_parameters(), lr=peak, weight_decay=1e-2)
    progress = common.Progress(work / kept_in, model=both, average=average, optimiser=optimiser)
    step = progress.resume()
    if polish and step == 0:
        common.start_from_average(work / "unet.pt", both, average)
    kept = DDIMScheduler(**SCHEDULER).alphas_cumprod.to(where)
    latents = data["latents"].float() * latent_scale(work, data["latents"])
    running = None
    while step < steps:
        random = common.step_random(seed + 1, step)
        torch.manual_seed(seed * 1000003 + step)
        chosen = random.integers(len(latents), size=BATCH)
        tokens = tokenizer.encode(words, [caption_cached(data, int(i), random) for i in chosen]).to(where)
        clean = latents[chosen].to(where, memory_format=torch.channels_last)
        noise = torch.randn_like(clean)
        # Every part of the chain once in every batch: the loss is less noisy than with free draws.
        times = ((torch.arange(BATCH, device=where) + torch.rand(BATCH, device=where)) * (1000 / BATCH)).long().clamp(max=999)
        signal = kept[times].view(-1, 1, 1, 1)
        noisy = signal.sqrt() * clean + (1 - signal).sqrt() * noise
        with common.mixed_precision(where):
            predicted = unet(noisy, times, encoder(tokens).last_hidden_state).sample
        ratio = kept[times] / (1 - kept[times])
        weight = ratio.clamp(max=5) / ratio  # min-SNR: the nearly clean steps are easy and many
        errors = (predicted.float() - noise).square().mean(dim=(1, 2, 3))
        loss = (weight * errors).mean()
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak, warmup=200)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(both.parameters(), 1.0)
        optimiser.step()
        average.update(both)
        step += 1
        running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
        if step % 50 == 0:
            common.log("unet", f"step {step} loss {running:.4f}")
        progress.save(step)
    progress.save(step, always=True)


def load(work):
    """The averaged text encoder and U-Net, polished where they are."""
    polished = pathlib.Path(work) / "unet-polish.pt"
    words = tokenizer.build(work / "tokenizer")
    encoder, unet = new_text_encoder(len(words)), UNet2DConditionModel(**UNET)
    common.start_from_average(polished if polished.exists() else polished.with_name("unet.pt"), torch.nn.ModuleList([encoder, unet]))
    return words, encoder.eval().requires_grad_(False), unet.eval().requires_grad_(False)


if __name__ == "__main__":
    polish = "--polish" in sys.argv
    if polish:
        sys.argv.remove("--polish")
    arguments = common.parse_arguments(__doc__, steps=POLISH_STEPS if polish else STEPS)
    pictures = 100 if arguments.quick else POLISH_PICTURES if polish else PICTURES
    train(arguments.work, 4 if arguments.quick else arguments.steps, pictures, polish)
