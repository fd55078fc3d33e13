"""Trains the autoencoder: AutoencoderKL, factor 8, four latent channels.

No pretrained perceptual network stands behind it, so sharpness comes from the loss:
absolute and squared error, and the same on differences between neighbours at several
scales, which is where blurred edges show.  Training runs on crops of crowded scenes,
since plain ground has nothing to teach, and ends on whole pictures.

All of these are smallest for a blur where the latents leave open by a pixel or two where
an edge is.  Polishing therefore also compares how strong edges are nearby, wherever
exactly they are: a sharp edge a pixel off is then better than a soft one.

After the encoder is done the decoder alone goes on (`--stage decoder`, `--stage polish`):
latents cached with the encoder stay valid meanwhile.
"""

import argparse
import dataclasses
import sys

import numpy
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL

import common
import muon
import scenes

CROP = 64
CONFIG = dict(
    in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=2, act_fn="silu",
    down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    block_out_channels=[24, 48, 64, 96], layers_per_block=1, sample_size=scenes.PICTURE,
    scaling_factor=1.0, force_upcast=False,
)


@dataclasses.dataclass(frozen=True)
class Stage:
    """One training of the autoencoder or of its decoder alone, from the averages of the stage before it."""

    steps: int
    seed: int
    kept_in: str  # in the work folder
    start: str | None  # the state to start from; the encoder then stays as it is
    whole_from: float  # the share of the steps after which whole pictures take the place of crops
    peak: float  # rate of learning
    decay: float  # the share of the steps over which the rate falls
    edges: float  # weight of the edges in the loss
    sharpness: float  # weight of their strength


STAGES = {
    "autoencoder": Stage(2250, 101, "vae.pt", None, whole_from=0.85, peak=7e-4, decay=0.3, edges=0.5, sharpness=0.0),
    "decoder": Stage(500, 102, "vae-decoder.pt", "vae.pt", whole_from=0.6, peak=7e-4, decay=0.3, edges=0.5, sharpness=0.0),
    "polish": Stage(2600, 103, "vae-polish.pt", "vae-decoder.pt", whole_from=0.6, peak=7e-4, decay=0.4, edges=0.5, sharpness=2.0),
}


def colour_pattern(channels):
    """Channels stand in turn for +R, +G, +B, -R, -G, -B: (which colour, which sign)."""
    number = torch.arange(channels)
    return number % 3, 1.0 - 2.0 * (number // 3 % 2)


def carry_colour(vae):
    """Start as a plain shrinker and enlarger of colours, so that training begins with the details.

    From the usual random start most of a short training goes into passing flat colour
    through the group norms.  Here every residual branch starts at zero and the path
    around them hands on R, G, B and their negatives: both signs, because
    silu(x) - silu(-x) = x.  A little of the random start stays, to break the symmetry.
    """
    def blend(conv, wanted, random_share=0.3):
        conv.weight.mul_(random_share)
        centre = conv.kernel_size[0] // 2
        conv.weight[:, :, centre, centre] += wanted

    def hand_on(conv):
        wanted = torch.zeros(conv.out_channels, conv.in_channels)
        for output in range(conv.out_channels):
            wanted[output, output % conv.in_channels] = 1
        blend(conv, wanted)

    def colours_in(conv):
        colour, sign = colour_pattern(conv.out_channels)
        wanted = torch.zeros(conv.out_channels, conv.in_channels)
        wanted[torch.arange(conv.out_channels), colour] = sign
        blend(conv, wanted)

    def colours_out(conv):
        colour, sign = colour_pattern(conv.in_channels)
        wanted = torch.zeros(conv.out_channels, conv.in_channels)
        wanted[colour, torch.arange(conv.in_channels)] = sign / (conv.in_channels / 6)
        blend(conv, wanted)

    with torch.no_grad():
        for name, module in vae.named_modules():
            if name.endswith((".conv2", ".to_out.0")):
                module.weight.mul_(0.05)
            elif name.endswith(("conv_shortcut", "samplers.0.conv")):
                hand_on(module)
        colours_in(vae.encoder.conv_in)
        colours_out(vae.encoder.conv_out)
        colours_in(vae.decoder.conv_in)
        colours_out(vae.decoder.conv_out)
        # The latent's mean passes as it is; its spread starts small, or noise would drown it.
        vae.quant_conv.weight.copy_(torch.eye(8)[..., None, None])
        vae.quant_conv.weight[4:] *= 0.1
        vae.quant_conv.bias.zero_()
        vae.quant_conv.bias[4:] = -6
        vae.post_quant_conv.weight.copy_(torch.eye(4)[..., None, None])
        vae.post_quant_conv.bias.zero_()


def edge_loss(output, target, scales=3):
    """L1 between the differences of neighbours, on the picture and on its halvings."""
    total = 0
    for scale in range(scales):
        for axis in (2, 3):
            total = total + (output.diff(dim=axis) - target.diff(dim=axis)).abs().mean()
        if scale + 1 < scales:
            output, target = functional.avg_pool2d(output, 2), functional.avg_pool2d(target, 2)
    return total


def edge_strength(picture, window=4):
    """Root mean square, over windows, of the differences between neighbours: a blurred edge has less of it, a shifted one the same."""
    across = functional.pad(picture.diff(dim=3).square(), (0, 1))
    down = functional.pad(picture.diff(dim=2).square(), (0, 0, 0, 1))
    return (functional.avg_pool2d(across + down, window, window // 2) + 1e-3).sqrt()


def sharpness_loss(output, target, scales=2):
    """L1 between the strengths of edges, on the picture and on its halvings."""
    total = 0
    for scale in range(scales):
        total = total + (edge_strength(output) - edge_strength(target)).abs().mean()
        if scale + 1 < scales:
            output, target = functional.avg_pool2d(output, 2), functional.avg_pool2d(target, 2)
    return total


def reconstruction_loss(output, target, settings):
    loss = (output - target).abs().mean() + 2 * functional.mse_loss(output, target) + settings.edges * edge_loss(output, target)
    if settings.sharpness:
        loss = loss + settings.sharpness * sharpness_loss(output, target)
    return loss


def crowded_scene(sprites, random):
    """Five or six different objects in one picture, whatever the ground."""
    chosen = random.choice(len(scenes.NAMES), int(random.integers(4, 7)), replace=False)
    return scenes.draw(sprites, int(random.integers(12)), {int(index): 1 for index in chosen}, random)


def crops(sprites, random, batch):
    """Crops of crowded and of usual scenes, each from a picture of its own: a batch then has many grounds."""
    made = []
    while len(made) < batch:
        usual = random.random() < 0.35
        scene = scenes.random_scene(sprites, random) if usual else crowded_scene(sprites, random)
        if usual:  # around an object, so that large ones are seen at their size
            _, x0, y0, x1, y1 = scene.boxes[random.integers(len(scene.boxes))]
            x, y = (x0 + x1) // 2 - CROP // 2, (y0 + y1) // 2 - CROP // 2
            x, y = x + int(random.integers(-24, 25)), y + int(random.integers(-24, 25))
            x, y = (int(numpy.clip(v, 0, scenes.PICTURE - CROP)) for v in (x, y))
        else:
            x, y = (int(v) for v in random.integers(0, scenes.PICTURE - CROP + 1, 2))
        made.append(scene.picture[y:y + CROP, x:x + CROP])
    return made


def whole_pictures(sprites, random, batch):
    return [(scenes.random_scene(sprites, random) if random.random() < 0.6 else crowded_scene(sprites, random)).picture
            for _ in range(batch)]


def peak_signal_to_noise(vae, sprites, count=32, seed=7777):
    """Mean PSNR in dB of reconstructions of drawn scenes, on 8-bit pictures in [0, 1]."""
    random = numpy.random.default_rng(seed)
    pictures = common.to_tensor([scenes.random_scene(sprites, random).picture for _ in range(count)])
    with torch.no_grad():
        output = vae.decode(vae.encode(pictures).latent_dist.mode()).sample.clamp(-1, 1)
    error = ((output - pictures) / 2).square().mean(dim=(1, 2, 3))
    return float((-10 * error.log10()).mean())


def reconstruct(vae, target):
    """What the autoencoder makes of pictures in training, and how far its latents are from a normal distribution."""
    posterior = vae.encode(target).latent_dist
    divergence = 0.5 * (posterior.mean.float().square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
    return vae.decode(posterior.sample()).sample, divergence


def reconstruct_from_inexact(vae, target):
    """The decoder's pictures from slightly wrong latents: generated ones are never exact, and lines should be clean still."""
    with torch.no_grad():
        latents = vae.encode(target).latent_dist.sample()
        size = latents.float().std() * torch.rand(len(latents), 1, 1, 1, device=target.device) * 0.06
        latents = latents + torch.randn_like(latents) * size
    return vae.decode(latents).sample, 0


def train(work, steps, stage="autoencoder"):
    where = common.device()
    settings = STAGES[stage]
    common.seed_everything(settings.seed)
    sprites = scenes.Sprites()
    vae = AutoencoderKL(**CONFIG)
    carry_colour(vae)
    vae.to(where, memory_format=torch.channels_last)
    average = common.Average(vae, 0.998)
    decoder_only = settings.start is not None
    named = [(name, parameter) for name, parameter in vae.named_parameters()
             if not decoder_only or name.startswith(("decoder.", "post_quant_conv."))]
    trained = [parameter for _, parameter in named]
    optimiser = muon.Muon(named, lr=settings.peak, weight_decay=1e-4)
    progress = common.Progress(work / settings.kept_in, model=vae, average=average, optimiser=optimiser)
    step = progress.resume()
    if decoder_only and step == 0:
        common.start_from_average(work / settings.start, vae, average)
    while step < steps:
        random = common.step_random(settings.seed, step)
        if step > settings.whole_from * steps:
            pictures = whole_pictures(sprites, random, 4)
        else:
            pictures = crops(sprites, random, 16)
        target = common.to_tensor(pictures, where).contiguous(memory_format=torch.channels_last)
        with common.mixed_precision(where):
            output, divergence = (reconstruct_from_inexact if decoder_only else reconstruct)(vae, target)
        loss = reconstruction_loss(output.float(), target, settings) + 1e-4 * divergence
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, settings.peak, decay=settings.decay)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()
        average.update(vae)
        step += 1
        if step % 50 == 0:
            common.log("vae", f"step {step} loss {loss.item():.4f}")
        if step % 100 == 0:
            live = {name: value.clone() for name, value in vae.state_dict().items()}
            average.copy_to(vae)
            common.log("vae", f"step {step} psnr {peak_signal_to_noise(vae, sprites):.2f} dB")
            vae.load_state_dict(live)
        progress.save(step)
    progress.save(step, always=True)


def load(work):
    """The averaged autoencoder, with the decoder of the last stage there is."""
    vae = AutoencoderKL(**CONFIG)
    kept = [work / stage.kept_in for stage in STAGES.values() if (work / stage.kept_in).exists()]
    common.start_from_average(kept[-1], vae)
    return vae.eval().requires_grad_(False).to(common.device())


if __name__ == "__main__":
    stages = argparse.ArgumentParser(add_help=False)
    stages.add_argument("--stage", choices=STAGES, default="autoencoder")
    chosen, others = stages.parse_known_args()
    sys.argv[1:] = others
    arguments = common.parse_arguments(__doc__, steps=STAGES[chosen.stage].steps)
    train(arguments.work, 4 if arguments.quick else arguments.steps, chosen.stage)
