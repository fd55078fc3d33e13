"""Writes tests/golden/config/: tiny random models of configurations that the default model does not use, each with the
outputs that diffusers and transformers compute from it in fp32.

    python tests/oracle/make_config_goldens.py [FOLDER]

A model's folder holds what a diffusers folder holds, and golden.safetensors: ids and text_states; timestep, time_features, latents, context and prediction; decoder_latents (as
the sampler leaves them) and picture; alpha_bar. Feature maps in NHWC.

single-file/ stands for a file in the original Stable Diffusion 1.x layout. Such a file is too large to keep, so its
weights follow from the tensors' names (see tensor_of_name) and layout.json lists names and shapes: the test writes it.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler, UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
from safetensors.torch import save_file
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from single_file_layout import original_names  # noqa: E402

MERGES = ["c a", "ca t</w>", "o n", "on e</w>", "b l", "bl u", "blu e</w>", "' s</w>"]
TEXTS = ["One blue CAT's moon!", "", "blue blue blue blue blue blue blue", "caf\u00e9 9<|endoftext|>", "can't!"]


def randomize(module, seed):
    """Every weight random, norms around one, so that no part is without effect."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in module.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.ndim > 1:
            fan_in = parameter[0].numel()
            scale = 0.5 if "embedding" in name and "time" not in name else fan_in**-0.5
            parameter.data = noise * scale
        else:
            parameter.data = noise * 0.2 + (1.0 if name.endswith("weight") else 0.0)
    return module.eval().requires_grad_(False)


def quieten(module, parts):
    """Makes what these parts put out so small that the epsilon of the norm behind them matters."""
    for name, parameter in module.named_parameters():
        if name.rpartition(".")[0] in parts:
            parameter.data *= 0.01
    return module


def rounded(module, dtype):
    """The weights as the file stores them, computed with in fp32."""
    return module.to(dtype).float()


def store(state, dtype, path):
    save_file({k: v.to(dtype).contiguous() for k, v in state.items()}, path)


def store_shards(state, dtype, folder, base):
    names = sorted(state)
    halves = [names[::2], names[1::2]]
    files = [f"{base}-0000{i + 1}-of-00002.safetensors" for i in range(2)]
    for file, half in zip(files, halves):
        store({k: state[k] for k in half}, dtype, folder / file)
    weight_map = {k: file for file, half in zip(files, halves) for k in half}
    total = sum(v.numel() * dtype.itemsize for v in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (folder / f"{base}.safetensors.index.json").write_text(json.dumps(index))


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n")


def old_attention_names(state):
    pairs = [(".to_q.", ".query."), (".to_k.", ".key."), (".to_v.", ".value."), (".to_out.0.", ".proj_attn.")]
    renamed = {}
    for name, value in state.items():
        for now, then in pairs:
            name = name.replace(now, then)
        renamed[name] = value
    return renamed


def write_tokenizer(folder, form, padding, length):
    """`form`: the files that hold the vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    printable = [b for b in range(256) if 33 <= b <= 126 or 161 <= b <= 172 or 174 <= b <= 255]
    others = [b for b in range(256) if b not in printable]
    characters = [chr(b) for b in printable] + [chr(256 + i) for i in range(len(others))]
    tokens = characters + [c + "</w>" for c in characters] + [m.replace(" ", "") for m in MERGES]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": length, "bos_token": "<|startoftext|>",
                "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": padding}
    write_json(folder / "tokenizer_config.json", settings)
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n")
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False))
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    if form == "combined":
        for file in folder.iterdir():
            file.unlink()
        tokenizer.save_pretrained(folder)
        text = json.loads((folder / "tokenizer.json").read_text())
        (folder / "tokenizer.json").write_text(json.dumps(text, ensure_ascii=False))
    elif form == "merges":
        (folder / "vocab.json").unlink()
    return tokenizer, len(tokens)


def nhwc(x):
    return x.permute(0, 2, 3, 1).contiguous()


def golden(case, tokenizer, text_encoder, unet, vae, scheduler, folder):
    generator = torch.Generator().manual_seed(case["seed"] + 100)
    random = lambda *shape: torch.randn(shape, generator=generator)  # noqa: E731
    length, batch, (height, width) = case["length"], case["batch"], case["latent"]
    texts = TEXTS[: case.get("texts", len(TEXTS))]
    ids = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt").input_ids
    states = text_encoder(ids).last_hidden_state
    latents, context = random(batch, 4, height, width), random(batch, length, case["context"])
    timestep = torch.tensor(case["timestep"])
    prediction = unet(latents, timestep, encoder_hidden_states=context).sample
    decoder_latents = random(batch, 4, height, width) * vae.config.scaling_factor
    picture = vae.decode(decoder_latents / vae.config.scaling_factor).sample
    save_file(
        {
            "ids": ids,
            "text_states": states,
            "timestep": timestep.float().reshape(1),
            "time_features": unet.time_proj(timestep.reshape(1)),
            "latents": nhwc(latents),
            "context": context,
            "prediction": nhwc(prediction),
            "decoder_latents": nhwc(decoder_latents),
            "picture": nhwc(picture),
            "alpha_bar": scheduler.alphas_cumprod.float(),
        },
        folder / "golden.safetensors",
    )
    (folder / "texts.json").write_text(json.dumps({"texts": texts}) + "\n")


CASES = {
    # As Stable Diffusion 2: linear projections, a list of head counts, v-prediction, gelu, "!" as padding.
    "linear-v-prediction": dict(
        seed=1, length=12, batch=2, latent=(7, 9), context=12, timestep=741, dtype=torch.bfloat16, form="vocabulary",
        padding="!", shards=False, old_names=False, variant="",
        text=dict(hidden_size=12, intermediate_size=20, num_hidden_layers=2, num_attention_heads=3, hidden_act="gelu"),
        unet=dict(block_out_channels=(8, 16), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                  up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=2, attention_head_dim=[2, 4],
                  norm_num_groups=4, use_linear_projection=True, upcast_attention=True,
                  transformer_layers_per_block=1),
        vae=dict(block_out_channels=(8, 12), layers_per_block=2, norm_num_groups=4, scaling_factor=0.18215),
        scheduler=DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
                                set_alpha_to_one=False, steps_offset=1, prediction_type="v_prediction")),
    # Several layers a transformer, a block without attention first, one shared head count, other embeddings of time.
    "deep-sharded": dict(
        seed=2, length=10, batch=3, latent=(5, 6), context=20, timestep=3, dtype=torch.float16, form="combined",
        padding="<|endoftext|>", shards=True, old_names=True, variant="",
        text=dict(hidden_size=20, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                  hidden_act="quick_gelu", layer_norm_eps=1e-4),
        unet=dict(block_out_channels=(6, 6, 12), down_block_types=("DownBlock2D", "CrossAttnDownBlock2D",
                                                                    "CrossAttnDownBlock2D"),
                  up_block_types=("CrossAttnUpBlock2D", "UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=[1, 2, 1],
                  attention_head_dim=3, norm_num_groups=3, norm_eps=1e-4, flip_sin_to_cos=False, freq_shift=1,
                  transformer_layers_per_block=[1, 2, 1], conv_in_kernel=5, conv_out_kernel=1, time_embedding_dim=14),
        vae=dict(block_out_channels=(6, 9, 12), layers_per_block=1, norm_num_groups=3, scaling_factor=0.5,
                 use_quant_conv=False),
        scheduler=PNDMScheduler(beta_start=0.001, beta_end=0.02, beta_schedule="linear", num_train_timesteps=500,
                                skip_prk_steps=True)),
    # An fp16 variant file of fp32 values, a decoder without attention and without the convolution before it; small
    # numbers before the U-Net's first transformer.
    "plain-decoder": dict(
        seed=3, length=8, batch=1, latent=(4, 3), context=8, timestep=999, dtype=torch.float32, form="merges",
        padding="<|endoftext|>", shards=False, old_names=False, variant=".fp16",
        quiet=("conv_in", "down_blocks.0.resnets.0.conv2"),
        text=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=3, num_attention_heads=8,
                  hidden_act="gelu_new"),
        unet=dict(block_out_channels=(8,), down_block_types=("CrossAttnDownBlock2D",),
                  up_block_types=("UpBlock2D",), layers_per_block=1, attention_head_dim=8, norm_num_groups=8),
        vae=dict(block_out_channels=(4,), layers_per_block=1, norm_num_groups=2, mid_block_add_attention=False,
                 use_post_quant_conv=False, scaling_factor=1.5),
        scheduler=EulerDiscreteScheduler(num_train_timesteps=300, timestep_spacing="trailing",
                                         trained_betas=[0.001 * (1 + i % 7) for i in range(300)])),
}

SINGLE = dict(
    seed=4, length=77, texts=2, batch=1, latent=(6, 5), context=64, timestep=501, padding="<|endoftext|>",
    text=dict(hidden_size=64, intermediate_size=64, num_hidden_layers=1, num_attention_heads=1,
              hidden_act="quick_gelu"),
    unet=dict(block_out_channels=(32, 32), down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
              up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), layers_per_block=1, attention_head_dim=8,
              norm_num_groups=32),
    vae=dict(block_out_channels=(32, 64), layers_per_block=1, norm_num_groups=32, scaling_factor=0.18215))


def build(case, vocabulary):
    text_config = CLIPTextConfig(vocab_size=vocabulary, max_position_embeddings=case["length"], projection_dim=8,
                                 eos_token_id=vocabulary - 1, bos_token_id=vocabulary - 2, pad_token_id=1,
                                 **case["text"])
    count = len(case["vae"]["block_out_channels"])
    dtype = case.get("dtype", torch.float16)
    text = rounded(randomize(CLIPTextModel(text_config), case["seed"]), dtype)
    unet = randomize(UNet2DConditionModel(cross_attention_dim=case["context"], sample_size=case["latent"][0],
                                          **case["unet"]), case["seed"] + 10)
    unet = rounded(quieten(unet, case.get("quiet", ())), dtype)
    vae = rounded(randomize(AutoencoderKL(down_block_types=("DownEncoderBlock2D",) * count,
                                          up_block_types=("UpDecoderBlock2D",) * count, **case["vae"]),
                            case["seed"] + 20), dtype)
    return text, unet, vae


def decoder_state(vae):
    return {k: v for k, v in vae.state_dict().items() if k.startswith(("decoder.", "post_quant_conv."))}


def text_state(text):
    """Keys with the prefix that checkpoints carry, whatever this version of the library calls them."""
    return {k if k.startswith("text_model.") else "text_model." + k: v for k, v in text.state_dict().items()}


def write_folder(root, name, case):
    folder = root / name
    tokenizer, vocabulary = write_tokenizer(folder / "tokenizer", case["form"], case["padding"], case["length"])
    text, unet, vae = build(case, vocabulary)
    for part, module in (("unet", unet), ("vae", vae), ("text_encoder", text)):
        write_json(folder / part / "config.json", json.loads(module.config.to_json_string())
                   if part == "text_encoder" else {"_class_name": type(module).__name__, **dict(module.config)})
    write_json(folder / "scheduler" / "scheduler_config.json",
               {"_class_name": type(case["scheduler"]).__name__, **dict(case["scheduler"].config)})
    write_json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "scheduler": ["diffusers", type(case["scheduler"]).__name__], "safety_checker": [None, None]})
    base = "diffusion_pytorch_model"
    vae_state = decoder_state(vae)
    if case["old_names"]:
        vae_state = old_attention_names(vae_state)
    if case["shards"]:
        store_shards(unet.state_dict(), case["dtype"], folder / "unet", base)
    else:
        store(unet.state_dict(), case["dtype"], folder / "unet" / f"{base}{case['variant']}.safetensors")
    store(vae_state, case["dtype"], folder / "vae" / f"{base}{case['variant']}.safetensors")
    store(text_state(text), case["dtype"], folder / "text_encoder" / f"model{case['variant']}.safetensors")
    golden(case, tokenizer, text, unet, vae, case["scheduler"], folder)


def splitmix64(x):
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def tensor_of_name(name, shape):
    """Uniform numbers from the name's FNV-1a hash and the element's index, rounded to fp16: mean 1 for the weights of
    norms, else 0; standard deviation 0.2 for vectors, 0.5 for embeddings, else 1 / sqrt(fan in)."""
    seed = 14695981039346656037
    for byte in name.encode():
        seed = (seed ^ byte) * 1099511628211 % 2**64
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        uniform = (splitmix64(np.uint64(seed) + np.arange(count, dtype=np.uint64)) >> np.uint64(40)) / 2.0**24
    deviation = 0.2 if len(shape) == 1 else 0.5 if "embeddings" in name else np.sqrt(shape[0] / count)
    mean = 1.0 if len(shape) == 1 and name.endswith("weight") else 0.0
    values = mean + (uniform - 0.5) * np.sqrt(12.0) * deviation
    return torch.from_numpy(values.astype(np.float32).astype(np.float16).reshape(shape))


def fill_by_name(module, prefix, original, text=False):
    for key, parameter in module.state_dict().items():
        name = prefix + key if not text or key.startswith("text_model.") else prefix + "text_model." + key
        if name in original:
            parameter.copy_(tensor_of_name(original[name], list(parameter.shape)).float())


def write_single(root):
    folder = root / "single-file"
    tokenizer, vocabulary = write_tokenizer(folder / "tokenizer", "merges", SINGLE["padding"], SINGLE["length"])
    text, unet, vae = build(SINGLE, vocabulary)
    layers, types = unet.config.layers_per_block, list(unet.config.down_block_types)
    levels = len(vae.config.block_out_channels)
    marked = [{k: (part + k, v) for k, v in state.items()} for part, state in
              (("unet/", unet.state_dict()), ("vae/", decoder_state(vae)), ("text/", text_state(text)))]
    names = [original_names({k: v[1] for k, v in m.items()} if i == 0 else {},
                            {k: v[1] for k, v in m.items()} if i == 1 else {},
                            {k: v[1] for k, v in m.items()} if i == 2 else {}, layers, types, levels)
             for i, m in enumerate(marked)]
    original = {pair[0]: name for m, n in zip(marked, names) for pair, name in zip(m.values(), n)}
    with torch.no_grad():
        fill_by_name(unet, "unet/", original)
        fill_by_name(vae, "vae/", original)
        fill_by_name(text, "text/", original, text=True)
    state = original_names(unet.state_dict(), decoder_state(vae), text_state(text), layers, types, levels)
    # Diffusers' own reader of this layout must undo the renaming.
    back = convert_ldm_unet_checkpoint(dict(state), dict(unet.config))
    assert all(torch.equal(back[k], v) for k, v in unet.state_dict().items())
    assert all(torch.equal(v, tensor_of_name(k, list(v.shape)).float()) for k, v in state.items())
    (folder / "layout.json").write_text(json.dumps({k: list(v.shape) for k, v in state.items()}) + "\n")
    scheduler = PNDMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    golden(SINGLE, tokenizer, text, unet, vae, scheduler, folder)


def main():
    default = pathlib.Path(__file__).resolve().parents[1] / "golden" / "config"
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    torch.set_num_threads(1)
    if root.exists():
        shutil.rmtree(root)
    for name, case in CASES.items():
        write_folder(root, name, case)
    write_single(root)


if __name__ == "__main__":
    main()
