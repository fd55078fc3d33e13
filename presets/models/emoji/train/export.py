"""Collects what is trained into the shipped folder; a part that is not trained yet keeps its random start."""

import argparse
import pathlib

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

import aesthetic
import clip
import common
import detector
import layout
import scenes
import tokenizer
import unet
import vae


def fit_preview(model, scale, sprites, count=64):
    """Least squares from scaled latents to the picture shrunk to the latent's size, in [0, 1]."""
    import numpy
    random = numpy.random.default_rng(909)
    pictures = common.to_tensor([scenes.random_scene(sprites, random).picture for _ in range(count)], "cpu")
    with torch.no_grad():
        latents = model.cpu().encode(pictures).latent_dist.mode() * scale
    small = torch.nn.functional.avg_pool2d(pictures / 2 + 0.5, 8)
    inputs = latents.permute(0, 2, 3, 1).reshape(-1, 4)
    inputs = torch.cat([inputs, torch.ones(len(inputs), 1)], dim=1)
    solution = torch.linalg.lstsq(inputs, small.permute(0, 2, 3, 1).reshape(-1, 3)).solution
    return {"latent_rgb_factors": [[round(v, 5) for v in row] for row in solution[:4].tolist()],
            "latent_rgb_bias": [round(v, 5) for v in solution[4].tolist()]}


def trained(work, part):
    return (work / f"{part}.pt").exists()


def export_pipeline(work, folder):
    """The parts that make pictures: tokenizer, text encoder, U-Net, autoencoder, scheduler and the preview's factors."""
    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizer.build(work / "tokenizer")
    autoencoder = vae.load(work) if trained(work, "vae") else AutoencoderKL(**vae.CONFIG)
    scale = unet.latent_scale(work) if trained(work, "unet") else 1.0
    autoencoder.register_to_config(scaling_factor=round(scale, 5))
    if trained(work, "unet"):
        _, text_encoder, network = unet.load(work)
    else:
        text_encoder, network = unet.new_text_encoder(len(words)), UNet2DConditionModel(**unet.UNET)
    layout.write_pipeline(folder, text_encoder, network, autoencoder.cpu(), DDIMScheduler(**unet.SCHEDULER))
    layout.write_json(folder / "preview.json", fit_preview(autoencoder, round(scale, 5), scenes.Sprites()))


def export_rewards(work, folder):
    """The reward models; they take the tokenizer of the pipeline in the same folder."""
    words = tokenizer.build(work / "tokenizer")
    similarity = clip.load(work)[1] if trained(work, "clip") else clip.new_clip(len(words))
    layout.write_reward(folder / "rewards" / "clip", similarity, folder / "tokenizer", size={"shortest_edge": scenes.PICTURE})
    finder = detector.load(work) if trained(work, "detector") else detector.new_detector(len(words))
    layout.write_reward(folder / "rewards" / "detector", finder, folder / "tokenizer", padding="!",
                        processor="OwlViTImageProcessor", crop=False, length=detector.QUERY_LENGTH)
    head = aesthetic.load(work) if trained(work, "aesthetic") else aesthetic.Head()
    layout.write_aesthetic(folder / "rewards" / "aesthetic", head, aesthetic.ABOUT)


def export(work, folder):
    common.seed_everything(1)
    export_pipeline(work, folder)
    export_rewards(work, folder)
    common.log("export", f"trained parts: {[part for part in ('vae', 'unet', 'clip', 'detector', 'aesthetic') if trained(work, part)]}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=pathlib.Path, default=common.default_work_folder())
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the model's folder")
    parser.add_argument("--only-pipeline", action="store_true", help="leave the reward models in the folder as they are")
    arguments = parser.parse_args()
    (export_pipeline if arguments.only_pipeline else export)(arguments.work, arguments.out)
