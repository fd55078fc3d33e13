#!/usr/bin/env python3
"""Writes Stable Diffusion 1.5 and what the aesthetic reward needs in full size, with random fp16 weights, from numpy
alone: for machines where the real weights, diffusers and a network are missing.

    tests/bench/make_sd15.py FOLDER [--tiny]

FOLDER/stable-diffusion-v1-5 is a diffusers folder (without the encoder of pictures) with a CLIP ViT-L/14 and a LAION
head under rewards: 2.9 GB. Each tensor comes from the hash of its name, so every machine
makes the same bytes. CROSS_GAIN makes the guidance difference about a fifth of the prediction. --tiny makes the same
model with a handful of channels, to rehearse with: 8 MB.
"""
import hashlib
import json
import multiprocessing
import pathlib
import shutil
import struct
import sys
import types

import numpy

ROOT = pathlib.Path(__file__).resolve().parents[2]
CROSS_GAIN = 0.33  # of the output projection of every attention over the text
FULL = types.SimpleNamespace(
    widths=(320, 640, 1280, 1280), time=1280, decoder=(512, 512, 256, 128), groups=32, heads=8, sample=64, picture=512,
    text=types.SimpleNamespace(width=768, layers=12, heads=12),
    vision=types.SimpleNamespace(width=1024, layers=24, heads=16, side=224, patch=14), projection=768,
    head=(768, 1024, 128, 64, 16, 1))
TINY = types.SimpleNamespace(
    widths=(16, 16, 32, 32), time=64, decoder=(16, 16, 8, 8), groups=4, heads=4, sample=4, picture=32,
    text=types.SimpleNamespace(width=32, layers=2, heads=4),
    vision=types.SimpleNamespace(width=32, layers=2, heads=4, side=28, patch=14), projection=24,
    head=(24, 16, 8, 8, 8, 1))
SIZE = TINY if "--tiny" in sys.argv else FULL


def linear(name, outputs, inputs, bias=True):
    return {name + ".weight": (outputs, inputs), **({name + ".bias": (outputs,)} if bias else {})}


def convolution(name, outputs, inputs, side=3):
    return {name + ".weight": (outputs, inputs, side, side), name + ".bias": (outputs,)}


def norm(name, width):
    return {name + ".weight": (width,), name + ".bias": (width,)}


def resnet(name, inputs, outputs, time=SIZE.time):
    tensors = {**norm(name + ".norm1", inputs), **convolution(name + ".conv1", outputs, inputs),
               **norm(name + ".norm2", outputs), **convolution(name + ".conv2", outputs, outputs)}
    if time:
        tensors.update(linear(name + ".time_emb_proj", outputs, time))
    if inputs != outputs:
        tensors.update(convolution(name + ".conv_shortcut", outputs, inputs, 1))
    return tensors


def attention(name, width, context):
    return {**linear(name + ".to_q", width, width, False), **linear(name + ".to_k", width, context, False),
            **linear(name + ".to_v", width, context, False), **linear(name + ".to_out.0", width, width)}


def transformer(name, width):
    block = name + ".transformer_blocks.0"
    tensors = {**norm(name + ".norm", width), **convolution(name + ".proj_in", width, width, 1),
               **convolution(name + ".proj_out", width, width, 1),
               **attention(block + ".attn1", width, width), **attention(block + ".attn2", width, SIZE.text.width),
               **linear(block + ".ff.net.0.proj", 8 * width, width), **linear(block + ".ff.net.2", width, 4 * width)}
    for i in (1, 2, 3):
        tensors.update(norm(f"{block}.norm{i}", width))
    return tensors


def unet():
    tensors = {**convolution("conv_in", SIZE.widths[0], 4),
               **linear("time_embedding.linear_1", SIZE.time, SIZE.widths[0]),
               **linear("time_embedding.linear_2", SIZE.time, SIZE.time)}
    skips, width = [SIZE.widths[0]], SIZE.widths[0]
    for i, outputs in enumerate(SIZE.widths):
        for j in range(2):
            tensors.update(resnet(f"down_blocks.{i}.resnets.{j}", width, outputs))
            if i < 3:
                tensors.update(transformer(f"down_blocks.{i}.attentions.{j}", outputs))
            width = outputs
            skips.append(width)
        if i < 3:
            tensors.update(convolution(f"down_blocks.{i}.downsamplers.0.conv", width, width))
            skips.append(width)
    for j in range(2):
        tensors.update(resnet(f"mid_block.resnets.{j}", width, width))
    tensors.update(transformer("mid_block.attentions.0", width))
    for i, outputs in enumerate(reversed(SIZE.widths)):
        for j in range(3):
            tensors.update(resnet(f"up_blocks.{i}.resnets.{j}", width + skips.pop(), outputs))
            if i > 0:
                tensors.update(transformer(f"up_blocks.{i}.attentions.{j}", outputs))
            width = outputs
        if i < 3:
            tensors.update(convolution(f"up_blocks.{i}.upsamplers.0.conv", width, width))
    return {**tensors, **norm("conv_norm_out", width), **convolution("conv_out", 4, width)}


def decoder():
    width = SIZE.decoder[0]
    tensors = {**convolution("post_quant_conv", 4, 4, 1), **convolution("decoder.conv_in", width, 4),
               **norm("decoder.mid_block.attentions.0.group_norm", width)}
    for layer in ("to_q", "to_k", "to_v", "to_out.0"):
        tensors.update(linear("decoder.mid_block.attentions.0." + layer, width, width))
    for j in range(2):
        tensors.update(resnet(f"decoder.mid_block.resnets.{j}", width, width, 0))
    for i, outputs in enumerate(SIZE.decoder):
        for j in range(3):
            tensors.update(resnet(f"decoder.up_blocks.{i}.resnets.{j}", width, outputs, 0))
            width = outputs
        if i < 3:
            tensors.update(convolution(f"decoder.up_blocks.{i}.upsamplers.0.conv", width, width))
    return {**tensors, **norm("decoder.conv_norm_out", width), **convolution("decoder.conv_out", 3, width)}


def tower(name, width, layers):
    tensors = {}
    for i in range(layers):
        layer = f"{name}.encoder.layers.{i}"
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            tensors.update(linear(f"{layer}.self_attn.{projection}", width, width))
        tensors.update({**norm(layer + ".layer_norm1", width), **norm(layer + ".layer_norm2", width),
                        **linear(layer + ".mlp.fc1", 4 * width, width), **linear(layer + ".mlp.fc2", width, 4 * width)})
    return tensors


def text():
    width = SIZE.text.width
    return {"text_model.embeddings.token_embedding.weight": (49408, width),
            "text_model.embeddings.position_embedding.weight": (77, width),
            **tower("text_model", width, SIZE.text.layers), **norm("text_model.final_layer_norm", width)}


def clip():
    vision, width = SIZE.vision, SIZE.vision.width
    return {**text(), "vision_model.embeddings.class_embedding": (width,),
            "vision_model.embeddings.patch_embedding.weight": (width, 3, vision.patch, vision.patch),
            "vision_model.embeddings.position_embedding.weight": ((vision.side // vision.patch) ** 2 + 1, width),
            **norm("vision_model.pre_layrnorm", width), **tower("vision_model", width, vision.layers),
            **norm("vision_model.post_layernorm", width), "visual_projection.weight": (SIZE.projection, width),
            "text_projection.weight": (SIZE.projection, SIZE.text.width), "logit_scale": ()}


def aesthetic():
    tensors = {}
    for i, layer in enumerate((0, 2, 4, 6, 7)):
        tensors.update(linear(f"layers.{layer}", SIZE.head[i + 1], SIZE.head[i]))
    return tensors


def values(name, shape):
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    noise = numpy.random.Generator(numpy.random.SFC64(seed)).standard_normal(shape, dtype=numpy.float32)
    if len(shape) < 2:
        noise = 0.1 * noise + (1.0 if name.endswith("weight") else 0.0)
    elif "embedding" in name and "time_embedding" not in name and "patch" not in name:
        noise *= 0.02
    else:
        noise *= float(numpy.prod(shape[1:])) ** -0.5
    if name.endswith("attn2.to_out.0.weight"):
        noise *= CROSS_GAIN
    return numpy.asarray(noise, dtype=numpy.float16)


def fill(job):
    path, offset, name, shape = job
    file = numpy.memmap(path, dtype=numpy.float16, mode="r+", offset=offset, shape=shape or (1,))
    file[...] = values(name, shape)
    file.flush()


def write(pool, path, tensors):
    path.parent.mkdir(parents=True, exist_ok=True)
    header, offset = {}, 0
    for name, shape in tensors.items():
        size = 2 * int(numpy.prod(shape, dtype=numpy.int64))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(words)) + words)
        file.truncate(8 + len(words) + offset)
    jobs = [(path, 8 + len(words) + header[name]["data_offsets"][0], name, shape) for name, shape in tensors.items()]
    pool.map(fill, sorted(jobs, key=lambda job: -numpy.prod(job[3])), chunksize=1)


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


TEXT_CONFIG = {"model_type": "clip_text_model", "vocab_size": 49408, "hidden_size": SIZE.text.width,
               "intermediate_size": 4 * SIZE.text.width, "num_hidden_layers": SIZE.text.layers,
               "num_attention_heads": SIZE.text.heads, "max_position_embeddings": 77,
               "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05, "projection_dim": SIZE.projection,
               "bos_token_id": 49406, "eos_token_id": 49407}
VISION_CONFIG = {"model_type": "clip_vision_model", "hidden_size": SIZE.vision.width,
                 "intermediate_size": 4 * SIZE.vision.width, "num_hidden_layers": SIZE.vision.layers,
                 "num_attention_heads": SIZE.vision.heads, "image_size": SIZE.vision.side,
                 "patch_size": SIZE.vision.patch, "num_channels": 3, "hidden_act": "quick_gelu",
                 "layer_norm_eps": 1e-05, "projection_dim": SIZE.projection}
CONFIGS = {
    "unet": {"_class_name": "UNet2DConditionModel", "sample_size": SIZE.sample, "in_channels": 4,
             "out_channels": 4, "cross_attention_dim": SIZE.text.width, "attention_head_dim": SIZE.heads,
             "block_out_channels": list(SIZE.widths),
             "layers_per_block": 2, "norm_num_groups": SIZE.groups, "norm_eps": 1e-05, "act_fn": "silu",
             "center_input_sample": False, "downsample_padding": 1, "flip_sin_to_cos": True, "freq_shift": 0,
             "mid_block_scale_factor": 1,
             "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
             "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3},
    "vae": {"_class_name": "AutoencoderKL", "sample_size": SIZE.picture, "in_channels": 3,
            "out_channels": 3, "latent_channels": 4, "block_out_channels": list(reversed(SIZE.decoder)),
            "layers_per_block": 2, "norm_num_groups": SIZE.groups, "act_fn": "silu", "scaling_factor": 0.18215,
            "down_block_types": ["DownEncoderBlock2D"] * 4, "up_block_types": ["UpDecoderBlock2D"] * 4},
    "text_encoder": {"architectures": ["CLIPTextModel"], **TEXT_CONFIG},
}
SCHEDULER = {"_class_name": "DDIMScheduler", "beta_end": 0.012, "beta_schedule": "scaled_linear",
             "beta_start": 0.00085, "num_train_timesteps": 1000, "set_alpha_to_one": False, "steps_offset": 1,
             "clip_sample": False, "prediction_type": "epsilon"}


def copy_tokenizer(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("merges.txt", "tokenizer_config.json"):
        shutil.copy(ROOT / "presets" / "tokenizers" / "clip" / name, folder / name)


def main():
    root = pathlib.Path(sys.argv[1])
    model = root / "stable-diffusion-v1-5"
    with multiprocessing.Pool() as pool:
        write(pool, model / "unet" / "diffusion_pytorch_model.safetensors", unet())
        write(pool, model / "vae" / "diffusion_pytorch_model.safetensors", decoder())
        write(pool, model / "text_encoder" / "model.safetensors", text())
        write(pool, model / "rewards" / "clip" / "model.safetensors", clip())
        write(pool, model / "rewards" / "aesthetic" / "model.safetensors", aesthetic())
    for part, config in CONFIGS.items():
        write_json(model / part / "config.json", config)
    write_json(model / "scheduler" / "scheduler_config.json", SCHEDULER)
    write_json(model / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "scheduler": ["diffusers", "DDIMScheduler"]})
    write_json(model / "rewards" / "clip" / "config.json", {
        "model_type": "clip", "projection_dim": SIZE.projection, "logit_scale_init_value": 2.6592,
        "text_config": TEXT_CONFIG, "vision_config": VISION_CONFIG})
    write_json(model / "rewards" / "clip" / "preprocessor_config.json",
               {"crop_size": SIZE.vision.side, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
                "resample": 3, "size": SIZE.vision.side})
    copy_tokenizer(model / "tokenizer")
    copy_tokenizer(model / "rewards" / "clip")


if __name__ == "__main__":
    main()
