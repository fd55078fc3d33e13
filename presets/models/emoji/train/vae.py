"""Trains the autoencoder: AutoencoderKL, factor 8, four latent channels.

No pretrained perceptual network stands behind it, so sharpness comes from the loss:
absolute and squared error, and the same on differences between neighbours at several
scales, which is where blurred edges show.  Training runs on crops of crowded scenes,
since plain ground has nothing to teach, and ends on whole pictures.

After the encoder is done the decoder alone goes on (`--decoder-only`): latents cached
with the encoder stay valid meanwhile.
"""

import sys

import numpy
import torch
import torch.nn.functional as functional
from diffusers import AutoencoderKL

import common
import muon
import scenes

SEED = 101
CROP = 64
STEPS = 2250
DECODER_STEPS = 500
CONFIG = dict(
    in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=2, act_fn="silu",
    down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4,
    block_out_channels=[24, 48, 64, 96], layers_per_block=1, sample_size=scenes.PICTURE,
    scaling_factor=1.0, force_upcast=False,
)


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


def reconstruction_loss(output, target):
    return (output - target).abs().mean() + 2 * functional.mse_loss(output, target) + 0.5 * edge_loss(output, target)


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


def train(work, steps, decoder_only=False, peak=7e-4):
    where = common.device()
    common.seed_everything(SEED)
    sprites = scenes.Sprites()
    vae = AutoencoderKL(**CONFIG)
    carry_colour(vae)
    vae.to(where, memory_format=torch.channels_last)
    average = common.Average(vae, 0.998)
    named = [(name, parameter) for name, parameter in vae.named_parameters()
             if not decoder_only or name.startswith(("decoder.", "post_quant_conv."))]
    trained = [parameter for _, parameter in named]
    optimiser = muon.Muon(named, lr=peak, weight_decay=1e-4)
    path = work / ("vae-decoder.pt" if decoder_only else "vae.pt")
    progress = common.Progress(path, model=vae, average=average, optimiser=optimiser)
    step = progress.resume()
    if decoder_only and step == 0:
        whole = torch.load(work / "vae.pt", map_location=where, weights_only=True)
        average.load_state_dict(whole["average"])
        average.copy_to(vae)
        average.updates = 0
    seed = SEED + 1 if decoder_only else SEED
    while step < steps:
        random = common.step_random(seed, step)
        if step > (0.6 if decoder_only else 0.85) * steps:
            pictures = whole_pictures(sprites, random, 4)
        else:
            pictures = crops(sprites, random, 16)
        target = common.to_tensor(pictures, where).contiguous(memory_format=torch.channels_last)
        with common.mixed_precision(where):
            if decoder_only:
                # Generated latents are never exact: the decoder learns to draw clean lines from slightly wrong ones.
                with torch.no_grad():
                    latents = vae.encode(target).latent_dist.sample()
                    size = latents.float().std() * torch.rand(len(latents), 1, 1, 1, device=where) * 0.06
                    latents = latents + torch.randn_like(latents) * size
                divergence = 0
            else:
                posterior = vae.encode(target).latent_dist
                latents = posterior.sample()
                divergence = 0.5 * (posterior.mean.float().square() + posterior.var.float() - 1 - posterior.logvar.float()).mean()
            output = vae.decode(latents).sample
        loss = reconstruction_loss(output.float(), target) + 1e-4 * divergence
        for group in optimiser.param_groups:
            group["lr"] = common.learning_rate(step, steps, peak)
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


def load(work, decoder=True):
    """The averaged autoencoder, with the polished decoder where there is one."""
    vae = AutoencoderKL(**CONFIG)
    average = common.Average(vae, 0)
    polished = work / "vae-decoder.pt"
    state = torch.load(polished if decoder and polished.exists() else work / "vae.pt", map_location="cpu", weights_only=True)
    average.load_state_dict(state["average"])
    average.copy_to(vae)
    return vae.eval().requires_grad_(False).to(common.device())


if __name__ == "__main__":
    decoder_only = "--decoder-only" in sys.argv
    if decoder_only:
        sys.argv.remove("--decoder-only")
    arguments = common.parse_arguments(__doc__, steps=DECODER_STEPS if decoder_only else STEPS)
    train(arguments.work, 4 if arguments.quick else arguments.steps, decoder_only)
