"""Writes a Stable Diffusion 1.5 of full size with random fp16 weights, without needing the real one.

    python tests/oracle/make_sd15_random.py FOLDER

FOLDER/stable-diffusion-v1-5/ is the diffusers folder, FOLDER/sd15.safetensors the same in the original single-file
layout, FOLDER/golden.safetensors what diffusers computes in fp32: latents, context, timestep and prediction (NHWC) of
one U-Net call at 64x64 pixels. Needs 5 GB of disk and 4 GB of memory. Tensors are made one by one, each from the hash
of its name, and written as they come.
"""

import gc
import hashlib
import json
import pathlib
import shutil
import struct
import sys

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from single_file_layout import original_names  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]

UNET = dict(sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=[320, 640, 1280, 1280])
VAE = dict(sample_size=512, block_out_channels=[128, 256, 512, 512], layers_per_block=2, scaling_factor=0.18215,
           down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4)
TEXT = dict(vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
            max_position_embeddings=77, hidden_act="quick_gelu", projection_dim=768)
SCHEDULER = {"_class_name": "PNDMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear",
             "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": False, "skip_prk_steps": True,
             "steps_offset": 1, "trained_betas": None, "clip_sample": False}


class Named:
    """A tensor that is made when it is written: its diffusers name and shape."""

    def __init__(self, name, shape):
        self.name, self.shape, self.ndim = name, list(shape), len(shape)

    def __getitem__(self, _):  # [:, :, None, None] of a linear weight
        return Named(self.name, self.shape + [1, 1])

    def make(self):
        seed = int.from_bytes(hashlib.sha256(self.name.encode()).digest()[:7], "little")
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(self.shape, generator=generator)
        if self.ndim == 1:
            noise = 0.1 * noise + (1.0 if self.name.endswith("weight") else 0.0)
        else:
            fan_in = noise[0].numel()
            noise *= 0.02 if "embeddings" in self.name else fan_in**-0.5
        return noise.half()


def write(path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    header, offset = {}, 0
    for name, tensor in tensors.items():
        size = 2
        for side in tensor.shape:
            size *= side
        header[name] = {"dtype": "F16", "shape": tensor.shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            file.write(tensor.make().numpy().tobytes())


def named(module, prefix=""):
    return {prefix + k: Named(prefix + k, v.shape) for k, v in module.state_dict().items() if v.is_floating_point()}


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def main():
    root = pathlib.Path(sys.argv[1])
    folder = root / "stable-diffusion-v1-5"
    with torch.device("meta"):
        unet, vae, text = UNet2DConditionModel(**UNET), AutoencoderKL(**VAE), CLIPTextModel(CLIPTextConfig(**TEXT))
    text_names = named(text, "" if next(iter(text.state_dict())).startswith("text_model.") else "text_model.")
    decoder_names = {k: v for k, v in named(vae).items() if k.startswith(("decoder.", "post_quant_conv."))}
    write(folder / "unet" / "diffusion_pytorch_model.safetensors", named(unet))
    write(folder / "vae" / "diffusion_pytorch_model.safetensors", named(vae))
    write(folder / "text_encoder" / "model.safetensors", text_names)
    write(root / "sd15.safetensors", original_names(named(unet), decoder_names, text_names, 2,
                                                    list(unet.config.down_block_types), 4))
    write_json(folder / "unet" / "config.json", {"_class_name": "UNet2DConditionModel", **dict(unet.config)})
    write_json(folder / "vae" / "config.json", {"_class_name": "AutoencoderKL", **dict(vae.config)})
    write_json(folder / "text_encoder" / "config.json", json.loads(text.config.to_json_string()))
    write_json(folder / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "PNDMScheduler"]})
    (folder / "tokenizer").mkdir(exist_ok=True)
    for name in ("merges.txt", "tokenizer_config.json"):
        shutil.copy(ROOT / "presets" / "tokenizers" / "clip" / name, folder / "tokenizer" / name)

    state = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    for name in list(state):
        state[name] = state[name].float()
    unet.load_state_dict(state, assign=True)
    del state
    gc.collect()
    generator = torch.Generator().manual_seed(1)
    latents = torch.randn(1, 4, 8, 8, generator=generator)
    context = torch.randn(1, 77, 768, generator=generator)
    with torch.no_grad():
        prediction = unet.eval()(latents, 501, encoder_hidden_states=context).sample
    save_file({"latents": latents.permute(0, 2, 3, 1).contiguous(), "context": context,
               "timestep": torch.tensor([501.0]), "prediction": prediction.permute(0, 2, 3, 1).contiguous()},
              root / "golden.safetensors")


if __name__ == "__main__":
    main()
