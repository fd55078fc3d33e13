"""Writes the parts of the model in diffusers' folder layout, weights as fp16 safetensors."""

import json
import os
import shutil

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, OwlViTForObjectDetection

import tokenizer

# Every published Stable Diffusion text encoder has its tensors under this name; newer transformers drop it in memory.
TEXT_PREFIX = "text_model."
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_DEVIATION = [0.26862954, 0.26130258, 0.27577711]


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def write_weights(module, path, prefix=""):
    """Half precision: half the download.  Figures and goldens are taken from these files, not from before rounding."""
    tensors = {prefix + name: value.detach().cpu().half().contiguous() for name, value in module.state_dict().items()
               if not name.endswith("position_ids")}
    for name, value in tensors.items():
        assert torch.isfinite(value).all(), name
    save_file(tensors, path, metadata={"format": "pt"})


def write_part(module, folder, weights_name, prefix=""):
    """The library writes its config; the weights are written here, in half precision and one file."""
    folder.mkdir(parents=True, exist_ok=True)
    if hasattr(module, "save_config"):
        module.save_config(folder)
    else:
        module.config.save_pretrained(folder)
    if weights_name:
        write_weights(module, folder / weights_name, prefix)


def write_pipeline(folder, text_encoder, unet, vae, scheduler):
    tokenizer.build(folder / "tokenizer")
    write_part(text_encoder, folder / "text_encoder", "model.safetensors", prefix=TEXT_PREFIX)
    write_part(unet, folder / "unet", "diffusion_pytorch_model.safetensors")
    write_part(vae, folder / "vae", "diffusion_pytorch_model.safetensors")
    write_part(scheduler, folder / "scheduler", None)
    write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None], "image_encoder": [None, None], "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"]})


def write_reward(folder, module, source_tokenizer, padding=tokenizer.END, processor="CLIPImageProcessor", **settings):
    write_part(module, folder, "model.safetensors")
    tokenizer.copy_for(folder, source_tokenizer, padding, settings.get("length", tokenizer.MAXIMUM_LENGTH))
    size = module.config.vision_config.image_size
    shape = {"height": size, "width": size}
    write_json(folder / "preprocessor_config.json", {
        "image_processor_type": processor, "do_resize": True, "size": settings.get("size", shape), "resample": 3,
        "do_center_crop": settings.get("crop", True), "crop_size": shape, "do_rescale": True,
        "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True,
        "image_mean": CLIP_MEAN, "image_std": CLIP_DEVIATION})


def write_aesthetic(folder, head, about):
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().cpu().half().contiguous() for name, value in head.state_dict().items()},
              folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", about)


def read_weights(module, path, prefix=""):
    tensors = {name.removeprefix(prefix): value.float() for name, value in load_file(path).items()}
    missing, unexpected = module.load_state_dict(tensors, strict=False)
    assert not unexpected and all(name.endswith("position_ids") for name in missing), (missing, unexpected)
    return module.eval().requires_grad_(False)


def read_pipeline(folder):
    """Tokenizer, text encoder, U-Net, VAE and scheduler, from the shipped files, in fp32."""
    text_encoder = CLIPTextModel(CLIPTextModel.config_class.from_pretrained(folder / "text_encoder"))
    unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder / "unet"))
    vae = AutoencoderKL.from_config(AutoencoderKL.load_config(folder / "vae"))
    read_weights(text_encoder, folder / "text_encoder" / "model.safetensors", prefix=TEXT_PREFIX)
    read_weights(unet, folder / "unet" / "diffusion_pytorch_model.safetensors")
    read_weights(vae, folder / "vae" / "diffusion_pytorch_model.safetensors")
    return (CLIPTokenizer.from_pretrained(folder / "tokenizer"), text_encoder, unet, vae,
            DDIMScheduler.from_pretrained(folder / "scheduler"))


def read_reward(folder, kind):
    """A CLIPModel or an OwlViTForObjectDetection and its tokenizer."""
    model = kind(kind.config_class.from_pretrained(folder))
    return read_weights(model, folder / "model.safetensors"), CLIPTokenizer.from_pretrained(folder)


def read_clip(folder):
    return read_reward(folder, CLIPModel)


def read_detector(folder):
    return read_reward(folder, OwlViTForObjectDetection)


def replace_folder(finished, target):
    """The new folder appears whole; the old one is kept beside it for the moment of the exchange only."""
    old = target.with_name(target.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(finished, target)
    shutil.rmtree(old, ignore_errors=True)
