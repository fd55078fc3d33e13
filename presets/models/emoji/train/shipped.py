"""Fills a work folder from a shipped model: its weights count as finished first stages, to be polished.

Whoever improves a part then need not train the others again, and parts that fit together
(the U-Net and the latents it was trained on) stay as they are.
"""

import torch

import common
import detector
import layout

FINISHED = 2**31  # more steps than any stage has


def state_of(module):
    return {"step": FINISHED, "model": module.state_dict(), "average": common.Average(module, 0).state_dict()}


def stands_for(path):
    """Whether a stage's state came from a shipped model: it is finished then, and has no optimiser to go on with."""
    return path.exists() and torch.load(path, map_location="cpu", weights_only=True)["step"] == FINISHED


def fill(work, folder):
    """Writes the state of every stage that is not in the work folder yet."""
    _, text_encoder, unet, vae, _ = layout.read_pipeline(folder)
    parts = {"vae": vae, "vae-decoder": vae, "unet": torch.nn.ModuleList([text_encoder, unet]),
             "detector": layout.read_detector(folder / "rewards" / "detector")[0],
             "clip": layout.read_clip(folder / "rewards" / "clip")[0]}
    # The reward models are shipped polished.
    parts.update({"detector-polish": parts["detector"], "clip-polish": parts["clip"]})
    for name, module in parts.items():
        if not (work / f"{name}.pt").exists():
            common.save_whole(state_of(module), work / f"{name}.pt")
    if not (work / "scale.pt").exists():
        common.save_whole({"scale": vae.config.scaling_factor}, work / "scale.pt")
