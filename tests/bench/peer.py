#!/usr/bin/env python3
"""The same AlignProp step in PyTorch, as fast as PyTorch allows: the peer that the benchmark compares against.

One optimiser step is: sample a batch with DDIM and classifier-free guidance, decode it, score it, send the score's
gradient back through the decoder and the last K denoising steps into LoRA factors, clip, AdamW. Text states are
computed once before the clock starts (the engine caches them too).

What makes it PyTorch at its best:
  - the steps before the cut run under no_grad, with the adapter merged into the weights (--no-merge: unmerged),
    both guidance halves in one batch;
  - base weights frozen, so autograd computes no gradient for them; only the factors (fp32) are trained;
  - channels-last layout, cuDNN free to try its algorithms, a fused optimiser;
  - scaled-dot-product attention (the diffusers default) by the fastest of its backends for the largest attention of the
    model, cuDNN's among them, measured forward and backward (--attention);
  - `--compile MODE` for torch.compile, with or without CUDA graphs (reduce-overhead, max-autotune);
  - grad steps store their activations; where these do not fit on the device they are recomputed one by one, as with
    --checkpoint (less memory).
`--best` runs one variant after the other (--variants), each in its own process, and tells the fastest so far after each.

MODEL is a diffusers folder (unet, vae, text_encoder, tokenizer, scheduler, rewards/clip, rewards/aesthetic), or
`sd15-random`: Stable Diffusion 1.5's shapes with random weights, and CLIP-L's vision tower for the aesthetic reward.

  peer.py --model presets/models/emoji --batch 4 --steps 20 --keep 5 --reward clip --threads 2 --best
  peer.py --model sd15-random --device cuda --dtype bf16 --size 512 --steps 50 --keep 8 --reward aesthetic --best

Prints one JSON object on stdout: seconds per step (median, minimum, each one), peak memory in bytes above what was
in use after the imports (CPU: resident set; CUDA: the allocator's reserved bytes), the last score and gradient norm.
Needs torch, diffusers, transformers and safetensors.
"""
import argparse
import contextlib
import gc
import json
import math
import os
import statistics
import subprocess
import sys
import time

# CUDA graphs are used where no other call's backward sweep is pending, which is so with recomputed steps only.
VARIANTS = {
    "eager": [],
    "default": ["--compile", "default"],
    "reduce-overhead": ["--compile", "reduce-overhead", "--checkpoint"],
    "max-autotune": ["--compile", "max-autotune", "--checkpoint"],
}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20, help="denoising steps T")
    parser.add_argument("--keep", type=int, default=5, help="K, the last steps that the gradient passes")
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--reward", choices=["clip", "brightness", "aesthetic"], default="clip")
    parser.add_argument("--size", type=int, default=0, help="picture side; 0: the model's own")
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--repeat", type=int, default=5, help="timed steps, after two that are not")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--compile", nargs="?", const="default", default="",
                        choices=["default", "reduce-overhead", "max-autotune"])
    parser.add_argument("--attention", choices=["fastest", "cudnn", "flash", "efficient"], default="fastest",
                        help="on CUDA: the backend of scaled-dot-product attention that comes first")
    parser.add_argument("--checkpoint", action="store_true", help="recompute each kept step and the decoder")
    parser.add_argument("--no-merge", action="store_true", help="do not merge the adapter before the cut")
    parser.add_argument("--dtype", choices=["fp32", "bf16", "fp16"], default="fp32")
    parser.add_argument("--prompt", default="cats on a blue background")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--best", action="store_true", help="the variants, each in its own process")
    parser.add_argument("--variants", default="eager,default", help="of --best: " + ",".join(VARIANTS))
    parser.add_argument("--seconds", type=float, default=math.inf, help="of --best: no variant runs past them")
    return parser.parse_args()


def own_arguments(argv):
    """The command line without what is meant for --best alone."""
    kept, skip = [], False
    for word in argv:
        if skip:
            skip = False
        elif word in ("--variants", "--seconds"):
            skip = True
        elif word != "--best":
            kept.append(word)
    return kept


def run_variant(extra, seconds):
    command = [sys.executable, os.path.abspath(__file__), *own_arguments(sys.argv[1:]), *extra]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds if seconds < math.inf else None)
    except subprocess.TimeoutExpired:
        return {"failed": "no time left"}
    if done.returncode != 0:
        return {"failed": done.returncode}
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_best(arguments):
    """Variants in processes of their own, so that no variant's memory or caches touch another's. What is known is told
    after each, since a later one may take all the time there is."""
    results, ends = {}, time.monotonic() + arguments.seconds
    for name in arguments.variants.split(","):
        left = ends - time.monotonic()
        results[name] = run_variant(VARIANTS[name], left) if left > 0 else {"failed": "no time left"}
        timed = {name: result for name, result in results.items() if "seconds_median" in result}
        if timed:
            fastest = min(timed, key=lambda name: timed[name]["seconds_median"])
            print(json.dumps({"fastest": fastest, **timed[fastest], "variants": results}), flush=True)
    if not timed:
        sys.exit("peer.py: no variant ran")


arguments = parse_arguments()
if arguments.best:
    run_best(arguments)
    sys.exit(0)

import torch
import torch.nn.functional as functional
from torch.utils.checkpoint import checkpoint
import diffusers
import transformers
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPModel, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig, CLIPVisionModelWithProjection

transformers.logging.set_verbosity_error()
diffusers.logging.set_verbosity_error()

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def resident_bytes(field):
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def reset_peak():
    """Sets VmHWM back to the present resident set."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as clear:
        clear.write("5")


def seconds_of_attention(backend, samples, tokens, heads, width):
    """Forward and backward of self-attention by one backend, in bf16 or as it is set; infinite where it cannot."""
    from torch.nn.attention import sdpa_kernel
    shape = (samples, heads, tokens, width)
    query, key, value = (torch.randn(shape, device=arguments.device, dtype=DTYPES[arguments.dtype], requires_grad=True)
                         for _ in range(3))
    best = math.inf
    try:
        for _ in range(5):
            torch.cuda.synchronize()
            start = time.perf_counter()
            with sdpa_kernel(backend):
                functional.scaled_dot_product_attention(query, key, value).sum().backward()
            torch.cuda.synchronize()
            best = min(best, time.perf_counter() - start)
    except RuntimeError:
        return math.inf
    return best


def choose_attention(unet, side):
    """Puts one backend first for the whole process; the others take what it cannot. Returns the order's first name."""
    from torch.nn.attention import SDPBackend
    backends = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash": SDPBackend.FLASH_ATTENTION,
                "efficient": SDPBackend.EFFICIENT_ATTENTION}
    heads = unet.config.attention_head_dim
    heads = heads if isinstance(heads, int) else heads[0]
    width = unet.config.block_out_channels[0] // heads
    chosen, seconds = arguments.attention, {}
    if chosen == "fastest":
        seconds = {name: seconds_of_attention(backend, 2 * arguments.batch, side * side, heads, width)
                   for name, backend in backends.items()}
        chosen = min(seconds, key=seconds.get)
    order = [chosen, *(name for name in ("flash", "efficient", "cudnn") if name != chosen)]
    torch._C._set_sdp_priority_order([int(backends[name]) for name in order] + [int(SDPBackend.MATH)])
    return chosen, {name: value for name, value in seconds.items() if value < math.inf}


class LowRankLinear(torch.nn.Module):
    """A frozen linear layer with a trained low-rank addition; `enabled` is off while it is merged."""

    def __init__(self, base, rank):
        super().__init__()
        self.base = base
        self.down = torch.nn.Parameter(torch.randn(rank, base.in_features) / rank)
        self.up = torch.nn.Parameter(torch.randn(base.out_features, rank) * 1e-3)
        self.merged = False

    def forward(self, x, *unused, **unused_too):
        y = self.base(x)
        if self.merged:
            return y
        return y + functional.linear(functional.linear(x, self.down.to(x.dtype)), self.up.to(x.dtype))


def attach_adapters(unet, rank):
    adapters = []
    for module in list(unet.modules()):
        if module.__class__.__name__ != "Attention":
            continue
        for owner, key in ((module, "to_q"), (module, "to_k"), (module, "to_v"), (module.to_out, "0")):
            adapter = LowRankLinear(getattr(owner, key), rank)
            setattr(owner, key, adapter)
            adapters.append(adapter)
    return adapters


@contextlib.contextmanager
def merged(adapters, kept_weights, enabled):
    """The base weights with the adapters added, for the steps that need no gradient; restored exactly."""
    if not enabled:
        yield
        return
    with torch.no_grad():
        for adapter, kept in zip(adapters, kept_weights):
            kept.copy_(adapter.base.weight)
            delta = adapter.up @ adapter.down
            adapter.base.weight.copy_(adapter.base.weight.float() + delta)
            adapter.merged = True
    try:
        yield
    finally:
        with torch.no_grad():
            for adapter, kept in zip(adapters, kept_weights):
                adapter.base.weight.copy_(kept)
                adapter.merged = False


def load_model(path):
    """unet, vae, text states of (prompt, empty prompt) as a function, alpha bars, timestep settings."""
    if path == "sd15-random":
        torch.manual_seed(1)
        with torch.device(arguments.device):  # random numbers are made much faster there
            unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768, attention_head_dim=8)
            vae = AutoencoderKL(
                down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
                block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512)
        schedule = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012,
                    "beta_schedule": "scaled_linear", "steps_offset": 1, "set_alpha_to_one": False,
                    "prediction_type": "epsilon"}
        return unet, vae, lambda prompts: torch.randn(len(prompts), 77, 768), schedule
    unet = UNet2DConditionModel.from_pretrained(path, subfolder="unet", torch_dtype=torch.float32)
    vae = AutoencoderKL.from_pretrained(path, subfolder="vae", torch_dtype=torch.float32)
    text_encoder = CLIPTextModel.from_pretrained(path, subfolder="text_encoder", torch_dtype=torch.float32)
    tokenizer = CLIPTokenizer.from_pretrained(path, subfolder="tokenizer")
    with open(os.path.join(path, "scheduler", "scheduler_config.json")) as file:
        schedule = json.load(file)

    def encode(prompts):
        tokens = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt",
                           max_length=text_encoder.config.max_position_embeddings)
        with torch.no_grad():
            return text_encoder(tokens.input_ids).last_hidden_state

    return unet, vae, encode, schedule


def alpha_bars(schedule):
    count = schedule.get("num_train_timesteps", 1000)
    start, end = schedule.get("beta_start", 0.0001), schedule.get("beta_end", 0.02)
    if schedule.get("beta_schedule", "linear") == "scaled_linear":
        betas = torch.linspace(start**0.5, end**0.5, count, dtype=torch.float64) ** 2
    else:
        betas = torch.linspace(start, end, count, dtype=torch.float64)
    return torch.cumprod(1 - betas, 0)


def ddim_coefficients(schedule, steps):
    """For each step its timestep and (a, b): next latent = a latent + b prediction (epsilon, eta 0)."""
    bars = alpha_bars(schedule)
    stride = len(bars) // steps
    timesteps = [i * stride + schedule.get("steps_offset", 0) for i in range(steps)][::-1]
    last = torch.tensor(1.0, dtype=torch.float64) if schedule.get("set_alpha_to_one", True) else bars[0]
    rows = []
    for t in timesteps:
        bar, before = bars[t], bars[t - stride] if t - stride >= 0 else last
        a = math.sqrt(before / bar)
        rows.append((t, a, math.sqrt(1 - before) - a * math.sqrt(1 - bar)))
    return rows


def load_safetensors_of(folder):
    from safetensors.torch import load_file
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            return load_file(os.path.join(folder, name))
    sys.exit(f"peer.py: {folder} has no .safetensors file")


class AestheticHead(torch.nn.Module):
    """The LAION layout: linear layers without activations on the normalised image embedding."""

    def __init__(self, width, state=None):
        super().__init__()
        if state is None:
            sizes = [width, 1024, 128, 64, 16, 1]
            pairs = [(torch.randn(o, i) / i**0.5, torch.zeros(o)) for i, o in zip(sizes, sizes[1:])]
        else:
            names = sorted((n for n in state if n.endswith(".weight")), key=lambda n: int(n.split(".")[-2]))
            pairs = [(state[n].float(), state[n[: -len("weight")] + "bias"].float()) for n in names]
        self.weights = torch.nn.ParameterList([p[0] for p in pairs])
        self.biases = torch.nn.ParameterList([p[1] for p in pairs])

    def forward(self, x):
        for weight, bias in zip(self.weights, self.biases):
            x = functional.linear(x, weight.to(x.dtype), bias.to(x.dtype))
        return x



def load_reward(name, path, prompt, batch, prepare):
    """A function of pictures [B, 3, H, W] in [0, 1] that returns a score a picture."""
    if name == "brightness":
        return lambda pictures: pictures.mean(dim=(1, 2, 3))
    if path == "sd15-random":
        with torch.device(arguments.device):
            tower = CLIPVisionModelWithProjection(CLIPVisionConfig(
                hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=224,
                patch_size=14, projection_dim=768))
        side = 224

        def embed(pixels):
            return tower(pixel_values=pixels).image_embeds

        text = functional.normalize(torch.randn(batch, 768), dim=-1)
        width = 768
    else:
        folder = os.path.join(path, "rewards", "clip")
        clip = CLIPModel.from_pretrained(folder, torch_dtype=torch.float32)
        tower, side, width = clip, clip.config.vision_config.image_size, clip.config.projection_dim

        def embed(pixels):
            pooled = clip.vision_model(pixel_values=pixels).pooler_output
            return clip.visual_projection(pooled)

        text = None
        if name == "clip":
            tokenizer = CLIPTokenizer.from_pretrained(
                folder if os.path.exists(os.path.join(folder, "vocab.json")) else os.path.join(path, "tokenizer"))
            tokens = tokenizer([prompt] * batch, padding="max_length", truncation=True, return_tensors="pt",
                               max_length=clip.config.text_config.max_position_embeddings)
            with torch.no_grad():
                pooled = clip.text_model(input_ids=tokens.input_ids).pooler_output
                text = functional.normalize(clip.text_projection(pooled), dim=-1)
    tower.requires_grad_(False).eval()
    tower = prepare(tower)
    dtype = next(tower.parameters()).dtype
    device = next(tower.parameters()).device
    mean = torch.tensor(CLIP_MEAN, device=device).view(1, 3, 1, 1)
    deviation = torch.tensor(CLIP_STD, device=device).view(1, 3, 1, 1)
    head = None
    if name == "aesthetic":
        folder = os.path.join(path, "rewards", "aesthetic")
        head = AestheticHead(width, load_safetensors_of(folder) if os.path.isdir(folder) else None)
        head = head.requires_grad_(False).to(device)
    else:
        text = text.to(device)

    def score(pictures):
        pixels = functional.interpolate(pictures.float(), (side, side), mode="bicubic", antialias=True)
        pixels = ((pixels - mean) / deviation).to(dtype)
        embedding = functional.normalize(embed(pixels).float(), dim=-1)
        return head(embedding)[:, 0] if head is not None else (embedding * text).sum(-1)

    return score


def main():
    torch.manual_seed(arguments.seed)
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    device, dtype = torch.device(arguments.device), DTYPES[arguments.dtype]
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.zeros(1, device=device)
        torch.backends.cudnn.benchmark = True
        if dtype == torch.float32:
            torch.set_float32_matmul_precision("highest")
    gc.collect()
    reset_peak()
    before = resident_bytes("VmRSS")
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()

    unet, vae, encode, schedule = load_model(arguments.model)
    if schedule.get("prediction_type", "epsilon") != "epsilon":
        sys.exit("peer.py: only epsilon prediction is written here")
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    size = arguments.size or unet.config.sample_size * factor
    context = torch.cat([encode([""]).expand(arguments.batch, -1, -1),
                         encode([arguments.prompt]).expand(arguments.batch, -1, -1)]).to(device, dtype)
    scaling = vae.config.scaling_factor
    vae.encoder = None

    def prepare(module):
        return module.to(device=device, dtype=dtype, memory_format=torch.channels_last)

    for module in (unet, vae):
        module.requires_grad_(False).eval()
    unet, vae = prepare(unet), prepare(vae)
    adapters = attach_adapters(unet, arguments.rank)
    for adapter in adapters:
        adapter.down.data, adapter.up.data = adapter.down.data.float().to(device), adapter.up.data.float().to(device)
    parameters = [p for adapter in adapters for p in (adapter.down, adapter.up)]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters, lr=arguments.lr, weight_decay=1e-4, fused=on_gpu)
    kept_weights = [torch.empty_like(a.base.weight) for a in adapters] if not arguments.no_merge else []
    reward = load_reward(arguments.reward, arguments.model, arguments.prompt, arguments.batch, prepare)
    coefficients = ddim_coefficients(schedule, arguments.steps)
    side = size // factor
    attention, attention_seconds = choose_attention(unet, side) if on_gpu else ("default", {})

    def compiled(function):
        return torch.compile(function, mode=arguments.compile) if arguments.compile else function

    call_unet, decode, score_pictures = compiled(unet), compiled(vae.decode), compiled(reward)
    generator = torch.Generator().manual_seed(arguments.seed)
    timesteps = [torch.tensor(row[0], device=device) for row in coefficients]

    def denoise(latents, index):
        _, a, b = coefficients[index]
        both = torch.cat([latents, latents]).to(dtype).contiguous(memory_format=torch.channels_last)
        prediction = call_unet(both, timesteps[index], context, return_dict=False)[0].float()
        empty, prompted = prediction.chunk(2)
        return a * latents + b * (empty + arguments.guidance * (prompted - empty))

    def score_latents(latents):
        pictures = decode((latents / scaling).to(dtype), return_dict=False)[0].float()
        return score_pictures((pictures / 2 + 0.5).clamp(0, 1)).clone()  # a CUDA graph's output is its next call's

    def step():
        latents = torch.randn(arguments.batch, unet.config.in_channels, side, side, generator=generator)
        latents = latents.to(device).contiguous(memory_format=torch.channels_last)
        cut = arguments.steps - arguments.keep
        with torch.no_grad(), merged(adapters, kept_weights, not arguments.no_merge and cut > 0):
            for index in range(cut):
                latents = denoise(latents, index)
        # The factors are the only leaves, and a checkpoint without a differentiable input needs the newer form.
        for index in range(cut, arguments.steps):
            latents = (checkpoint(denoise, latents, index, use_reentrant=False) if arguments.checkpoint
                       else denoise(latents, index))
        scores = (checkpoint(score_latents, latents, use_reentrant=False) if arguments.checkpoint
                  else score_latents(latents))
        (-scores.mean()).backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return scores.detach().mean().item(), norm.item()

    if on_gpu and not arguments.checkpoint:
        try:
            step()
        except torch.OutOfMemoryError:
            arguments.checkpoint = True
            optimizer.zero_grad(set_to_none=True)
        if arguments.checkpoint:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
    seconds, processor = [], []
    for repeat in range(arguments.warm_up + arguments.repeat):
        if on_gpu:
            torch.cuda.synchronize()
        start, processor_start = time.perf_counter(), time.process_time()
        score, norm = step()
        if on_gpu:
            torch.cuda.synchronize()
        if repeat >= arguments.warm_up:
            seconds.append(time.perf_counter() - start)
            processor.append(time.process_time() - processor_start)
    if not seconds:  # only to fill the compiler's caches
        return
    peak = torch.cuda.max_memory_reserved() if on_gpu else resident_bytes("VmHWM") - before
    print(json.dumps({
        "seconds_median": statistics.median(seconds), "seconds_minimum": min(seconds), "seconds": seconds,
        "processor_seconds": processor, "peak_bytes": peak, "score": score, "gradient_norm": norm, "device": arguments.device,
        "device_name": torch.cuda.get_device_name() if on_gpu else "cpu", "threads": torch.get_num_threads(),
        "dtype": arguments.dtype, "compiled": arguments.compile, "attention": attention,
        "attention_seconds": attention_seconds, "checkpoint": arguments.checkpoint,
        "merged": not arguments.no_merge, "batch": arguments.batch, "steps": arguments.steps, "keep": arguments.keep,
        "guidance": arguments.guidance, "size": size, "rank": arguments.rank, "reward": arguments.reward,
        "model": os.path.basename(os.path.normpath(arguments.model)), "torch": torch.__version__,
        "diffusers": diffusers.__version__}))


main()
