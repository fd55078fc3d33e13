#!/usr/bin/env python3
"""Writes tests/golden/adapters/: adapters of the emoji model in the namings that programs use, and what they do.

Every file holds a few modules of random factors in half precision. `updates.json` has for each file and module three
figures of the update that diffusers or peft makes of it (their own get_delta_weight; what they read wrong or not at all,
by the formula of the program that writes it): its sums with cos(0.37 i) and sin(0.11 i + 1) over the elements in
order, and its Euclidean norm. `chain.safetensors` has the first and the last latents of a guided chain of four steps with
the adapter `kohya.safetensors` in U-Net and text encoder.

    python tests/oracle/make_adapter_goldens.py [--model presets/models/emoji] [--out tests/golden/adapters]
"""

import argparse
import json
import math
import pathlib
import shutil
import sys
import warnings

import numpy
import torch
from diffusers import StableDiffusionPipeline
from peft import LoraConfig, PeftModel
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "presets" / "models" / "emoji" / "train"))

import layout  # noqa: E402
import tokenizer  # noqa: E402

BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
UNET = {  # outputs, inputs, window
    f"{BLOCK}.attn1.to_q": (48, 48, 0),
    f"{BLOCK}.attn1.to_out.0": (48, 48, 0),
    f"{BLOCK}.attn2.to_k": (48, 128, 0),
}
LAYERS = {"down_blocks.0.resnets.0.conv1": (48, 48, 3), "down_blocks.0.resnets.0.time_emb_proj": (48, 192, 0)}
TEXT = {
    "text_model.encoder.layers.0.self_attn.q_proj": (128, 128, 0),
    "text_model.encoder.layers.1.self_attn.out_proj": (128, 128, 0),
    "text_model.encoder.layers.2.mlp.fc1": (512, 128, 0),
}
STEPS, GUIDANCE, CAPTION = 4, 4.0, "three cats on a blue background"


def seeded(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def factors(modules, rank=2, seed=1):
    """{module: (down, up)}, rounded to half precision; `rank` may be a function of the module's number."""
    made = {}
    for number, (name, (outputs, inputs, window)) in enumerate(modules.items()):
        r = rank(number) if callable(rank) else rank
        size = (window, window) if window else ()
        down = seeded(100 * seed + 2 * number, r, inputs, *size) * 0.5 / math.sqrt(inputs * max(window, 1) ** 2)
        up = seeded(100 * seed + 2 * number + 1, outputs, r, *((1, 1) if window else ())) * 0.5
        made[name] = (down.half(), up.half())
    return made


def flat(name):
    return name.replace(".", "_")


def key(name):
    return ("lora_te_" if name.startswith("text_model") else "lora_unet_") + flat(name)


def kohya(made, alpha):
    tensors = {}
    for number, (name, (down, up)) in enumerate(made.items()):
        tensors[key(name) + ".lora_down.weight"] = down
        tensors[key(name) + ".lora_up.weight"] = up
        value = alpha(number) if callable(alpha) else alpha
        if value is not None:
            tensors[key(name) + ".alpha"] = torch.tensor(float(value), dtype=torch.float16)
    return tensors


def prefix(name):
    return "text_encoder." if name.startswith("text_model") else "unet."


def named(made, down_ending, up_ending, rename=lambda name: prefix(name) + name):
    tensors = {}
    for name, (down, up) in made.items():
        tensors[rename(name) + down_ending] = down
        tensors[rename(name) + up_ending] = up
    return tensors


def processor(name):
    """Attention layers as diffusers named them at first; others take .lora."""
    for end, old in (("to_q", "to_q"), ("to_k", "to_k"), ("to_out.0", "to_out"), ("q_proj", "to_q"), ("out_proj", "to_out")):
        if name.endswith("." + end):
            middle = "" if name.startswith("text_model") else "processor."
            return prefix(name) + name[:-len(end)] + middle + old + "_lora"
    return prefix(name) + name + ".lora_linear_layer"


def metadata(**parts):
    """As diffusers writes it: each part's LoraConfig with the part's name before the keys."""
    keys = {f"{part}.{name}": value for part, config in parts.items() for name, value in config.items()}
    return {"format": "pt", "lora_adapter_metadata": json.dumps(keys, indent=2, sort_keys=True)}


def config(**changes):
    made = LoraConfig(**changes).to_dict()
    made["peft_type"] = "LORA"
    return {name: sorted(value) if isinstance(value, set) else value for name, value in made.items()}


def make_files(out):
    """{form: which program reads it}"""
    small, every = {**UNET, **TEXT}, {**UNET, **LAYERS, **TEXT}
    readers = {}

    def write(form, tensors, said=None, reader="diffusers"):
        save_file({name: value.contiguous() for name, value in tensors.items()}, out / f"{form}.safetensors", said)
        readers[form] = reader

    write("kohya", kohya(factors(every), 4))
    # Where attention's modules differ in alpha, diffusers 0.42 gives all of them the commonest.
    write("kohya-alphas", kohya(factors(small, rank=lambda n: 1 + n % 3), lambda n: 1 + n), reader="formula")
    write("kohya-zero-alpha", kohya(factors(UNET), 0))
    write("kohya-no-alpha", kohya(factors(UNET), None))
    write("processors", named(factors(small), ".down.weight", ".up.weight", processor))
    write("lora-down", named(factors(UNET), ".lora.down.weight", ".lora.up.weight"))
    write("peft-names", named(factors(small), ".lora_A.weight", ".lora_B.weight"))
    write("peft-ranks", named(factors(UNET, rank=lambda n: 1 + n), ".lora_A.weight", ".lora_B.weight"))
    told = config(r=2, lora_alpha=8, target_modules=["to_q", "to_k", "to_out.0"])
    write("metadata-alpha", named(factors(UNET), ".lora_A.weight", ".lora_B.weight"), metadata(unet=told))
    told = config(r=2, lora_alpha=3, use_rslora=True, target_modules=["to_q", "to_k", "to_out.0"])
    write("metadata-rslora", named(factors(UNET), ".lora_A.weight", ".lora_B.weight"), metadata(unet=told))
    told = config(r=1, lora_alpha=2, rank_pattern={f"{BLOCK}.attn1.to_out.0": 2, "attn2.to_k": 3},
                  alpha_pattern={"to_out.0": 7, f"{BLOCK}.attn1.to_q": 5}, target_modules=["to_q", "to_k", "to_out.0"])
    write("metadata-patterns", named(factors(UNET, rank=lambda n: 1 + n), ".lora_A.weight", ".lora_B.weight"),
          metadata(unet=told))
    told = config(r=2, lora_alpha=8, target_modules=["to_q", "to_k", "to_out.0"])
    text = config(r=2, lora_alpha=1, target_modules=["q_proj", "out_proj", "fc1"])
    write("metadata-both", named(factors(small), ".lora_A.weight", ".lora_B.weight"), metadata(unet=told, text_encoder=text))

    folder = out / "peft-folder"
    folder.mkdir(exist_ok=True)
    told = config(r=2, lora_alpha=6, use_rslora=True, target_modules=["to_q", "to_k", "to_out.0"],
                  rank_pattern={r"^.*attn2\.to_[kv]": 3}, alpha_pattern={r"attn\d\.to_(q|v)": 1})
    (folder / "adapter_config.json").write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")
    made = factors(UNET, rank=lambda n: 3 if n == 2 else 2)
    save_file({name: value.contiguous() for name, value in named(made, ".lora_A.weight", ".lora_B.weight",
              lambda name: "base_model.model." + name).items()}, folder / "adapter_model.safetensors", {"format": "pt"})
    readers["peft-folder"] = "peft"

    tucker = {}
    for name, size in (("down_blocks.0.resnets.0.conv1", (48, 48)), ("down_blocks.0.resnets.0.conv2", (48, 48))):
        tucker[key(name) + ".lora_down.weight"] = (seeded(71, 2, size[1], 1, 1) * 0.1).half()
        tucker[key(name) + ".lora_mid.weight"] = (seeded(72, 2, 2, 3, 3) * 0.5).half()
        tucker[key(name) + ".lora_up.weight"] = (seeded(73, size[0], 2, 1, 1) * 0.5).half()
        tucker[key(name) + ".alpha"] = torch.tensor(1.0, dtype=torch.float16)
    write("kohya-middle", tucker, reader="formula")
    return readers


def figures(update):
    values = update.detach().double().flatten().numpy()
    index = numpy.arange(len(values), dtype=numpy.float64)
    return [float(values @ numpy.cos(0.37 * index)), float(values @ numpy.sin(0.11 * index + 1)),
            float(numpy.sqrt(values @ values))]


def updates_of(model, adapter, text):
    found = {}
    for name, module in model.named_modules():
        if not hasattr(module, "get_delta_weight") or adapter not in module.lora_A:
            continue
        path = name.removeprefix("base_model.model.")
        path = path if not text or path.startswith("text_model.") else "text_model." + path
        found[key(path)] = figures(module.get_delta_weight(adapter))
    return found


def held(found, tensors):
    """Without the modules that the config names but the file does not hold: their update is nothing."""
    names = " ".join(flat(name) for name in tensors)
    return {name: value for name, value in found.items() if value[2] > 0 or name.split("_", 2)[2] in names}


def by_diffusers(pipeline, path):
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="golden")
    found = {**updates_of(pipeline.unet, "golden", False), **updates_of(pipeline.text_encoder, "golden", True)}
    pipeline.unload_lora_weights()
    return found


def by_peft(pipeline, folder):
    model = PeftModel.from_pretrained(pipeline.unet, str(folder), adapter_name="golden")
    found = updates_of(model, "golden", False)
    model.unload()
    return found


def by_formula(path):
    """kohya's alpha / r * up down (sd-scripts, networks/lora.py), and LyCORIS' Tucker decomposition of a convolution:
    W[o, i, y, x] = alpha / r * sum over a, b of up[o, a] mid[a, b, y, x] down[b, i]."""
    tensors, found = load_file(path), {}
    for name in tensors:
        if not name.endswith(".lora_down.weight"):
            continue
        module = name.removesuffix(".lora_down.weight")
        down, up = tensors[name].double().flatten(1), tensors[module + ".lora_up.weight"].double().flatten(1)
        middle = tensors.get(module + ".lora_mid.weight")
        update = up @ down if middle is None else torch.einsum("oa,abyx,bi->oiyx", up, middle.double(), down)
        found[module] = figures(float(tensors[module + ".alpha"]) / len(down) * update)
    return found


def deltas_of(model):
    return {name: module.get_delta_weight("golden").detach() for name, module in model.named_modules()
            if hasattr(module, "get_delta_weight") and "golden" in module.lora_A}


def add_deltas(model, deltas):
    with torch.no_grad():
        for name, delta in deltas.items():
            model.get_submodule(name).weight += delta.reshape(model.get_submodule(name).weight.shape)


def chain_goldens(pipeline, folder, path):
    """The updates that diffusers makes of the file, added to parts that are read anew: transformers begins weights that
    an adapter's file does not hold from random numbers when it loads one."""
    pipeline.load_lora_weights(str(path.parent), weight_name=path.name, adapter_name="golden")
    deltas = deltas_of(pipeline.unet), deltas_of(pipeline.text_encoder)
    words, text_encoder, unet, _, scheduler = layout.read_pipeline(folder)
    add_deltas(unet, deltas[0])
    add_deltas(text_encoder, deltas[1])
    ids = tokenizer.encode(words, [CAPTION, ""])
    with torch.no_grad():
        states = text_encoder(ids).last_hidden_state
        scheduler.set_timesteps(STEPS)
        latents = seeded(12, 1, 4, 16, 16)
        tensors = {"initial": latents}
        for time in scheduler.timesteps:
            both = unet(torch.cat([latents, latents]), time, states[[1, 0]]).sample
            without, told = both.chunk(2)
            latents = scheduler.step(without + GUIDANCE * (told - without), time, latents, eta=0.0).prev_sample
    return {**tensors, "final": latents}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "presets" / "models" / "emoji")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "golden" / "adapters")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    shutil.rmtree(arguments.out, ignore_errors=True)
    arguments.out.mkdir(parents=True)
    words, text_encoder, unet, vae, scheduler = layout.read_pipeline(arguments.model)
    pipeline = StableDiffusionPipeline(vae, text_encoder, words, unet, scheduler, None, None, requires_safety_checker=False)
    updates = {}
    for form, reader in make_files(arguments.out).items():
        path = arguments.out / f"{form}.safetensors"
        if reader == "diffusers":
            updates[form] = by_diffusers(pipeline, path)
        elif reader == "peft":
            updates[form] = by_peft(pipeline, arguments.out / form)
        else:
            updates[form] = by_formula(path)
        file = arguments.out / form / "adapter_model.safetensors" if reader == "peft" else path
        updates[form] = held(updates[form], load_file(file))
        print(form, len(updates[form]), "modules")
    (arguments.out / "updates.json").write_text(json.dumps(updates, indent=1) + "\n")
    save_file(chain_goldens(pipeline, arguments.model, arguments.out / "kohya.safetensors"), arguments.out / "chain.safetensors")
    for path in arguments.out.rglob("*.safetensors"):
        path.chmod(0o644)


if __name__ == "__main__":
    main()
