"""Fits the smooth JPEG rate of engine/reward/jpeg.c to the sizes that libjpeg really writes.

    bytes = HEADER + (bits of AC coefficients + bits of DC differences) / 8 + block * blocks
    bits of a coefficient c with quantiser step q = scale * log2(1 + (sharpness * c / q)^2) / 2

Pictures are made here, so that the fit can be repeated anywhere: dead leaves (occluding discs with the statistics of
photographs), coloured noise with spectra from white to 1/f^2, emoji on soft grounds, lettering, gradients; each as it is
and with the faint grain that generated pictures have; sizes 64 to 512, also such that are no multiple of 16. Half of
them are fitted, the other half judged. Three kinds that models rarely make and that the fit leaves out are judged by the
figures in jpeg.c: graphics of flat shapes and lines, blocks of black and white, and black lettering on white.

    python tests/oracle/calibrate_jpeg.py [--emoji-font NotoColorEmoji.ttf]
"""

import argparse
import io

import numpy
from PIL import Image, ImageDraw, ImageFilter, ImageFont

QUALITIES = (10, 25, 40, 50, 60, 75, 85, 90, 95, 98)
SIZES = ((64, 64), (96, 120), (128, 128), (130, 100), (200, 256), (256, 256), (384, 320), (512, 512))
HEADER = 623  # JFIF, two quantisation and four Huffman tables, frame and scan headers, end marker

LUMA = numpy.array([
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99], float).reshape(8, 8)
CHROMA = numpy.full((8, 8), 99.0)
CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

DCT = numpy.array([[numpy.cos((2 * n + 1) * k * numpy.pi / 16) * (numpy.sqrt(0.125) if k == 0 else 0.5)
                    for n in range(8)] for k in range(8)])


def table(base, quality):
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return numpy.clip((base * scale + 50) // 100, 1, 255)


def planes(picture):
    """Level-shifted Y, Cb, Cr of a float picture in [0, 255]; edges repeated to multiples of 16, chroma halved."""
    height, width, _ = picture.shape
    picture = numpy.pad(picture, ((0, -height % 16), (0, -width % 16), (0, 0)), mode="edge")
    red, green, blue = (picture[..., i] for i in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    halves = []
    for colour, scale in ((blue, 1.772), (red, 1.402)):
        plane = (colour - luma) / scale
        halves.append(plane.reshape(plane.shape[0] // 2, 2, plane.shape[1] // 2, 2).mean((1, 3)))
    return [luma - 128.0] + halves


def coefficients(plane):
    """[block rows, block columns, 8, 8]"""
    height, width = plane.shape
    blocks = plane.reshape(height // 8, 8, width // 8, 8).transpose(0, 2, 1, 3)
    return DCT @ blocks @ DCT.T


def ratios(picture, quality):
    """Coefficients over quantiser steps (AC, then DC differences along block rows), and the number of blocks."""
    alternating, direct, blocks = [], [], 0
    for index, plane in enumerate(planes(picture)):
        scaled = coefficients(plane) / table(LUMA if index == 0 else CHROMA, quality)
        alternating.append(scaled.reshape(-1, 64)[:, 1:].ravel())
        dc = scaled[..., 0, 0]
        direct.append(numpy.diff(dc, axis=1, prepend=0.0 * dc[:, :1]).ravel())
        direct[-1].reshape(dc.shape)[1:, 0] = dc[1:, 0] - dc[:-1, 0]
        blocks += dc.size
    return numpy.concatenate(alternating), numpy.concatenate(direct), blocks


def real_bytes(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    return file.tell()


def dead_leaves(height, width, random):
    image = Image.new("RGB", (width, height))
    drawing = ImageDraw.Draw(image)
    for _ in range(int(random.integers(60, 1500))):
        radius = 2.0 / numpy.sqrt(random.uniform(0.0005, 1.0))
        x, y = random.uniform(0, width), random.uniform(0, height)
        drawing.ellipse((x - radius, y - radius, x + radius, y + radius), fill=tuple(random.integers(0, 256, 3)))
    return numpy.asarray(image.filter(ImageFilter.GaussianBlur(random.uniform(0.3, 1.5))), float)


def coloured_noise(height, width, random):
    slope = random.uniform(0.0, 2.0)
    radius = numpy.hypot(numpy.fft.fftfreq(height)[:, None], numpy.fft.fftfreq(width)[None, :])
    radius[0, 0] = 1.0
    spectrum = numpy.fft.fft2(random.standard_normal((height, width, 3)), axes=(0, 1)) / radius[..., None] ** slope
    noise = numpy.fft.ifft2(spectrum, axes=(0, 1)).real
    noise = (noise - noise.mean()) / noise.std() @ random.uniform(-0.2, 1.0, (3, 3))
    return 128 + random.uniform(5, 60) * noise


def ground(height, width, random):
    colour = random.integers(0, 256, 3)
    ramp = numpy.linspace(-1, 1, width)[None, :] * random.uniform(-12, 12) + numpy.linspace(
        -1, 1, height)[:, None] * random.uniform(-12, 12)
    return colour + ramp[..., None]


def gradient(height, width, random):
    corners = random.uniform(0, 255, (2, 2, 3)).astype(numpy.uint8)
    return numpy.asarray(Image.fromarray(corners).resize((width, height), Image.Resampling.BICUBIC), float)


def drawn_text(height, width, random, font, characters, size, coloured):
    image = Image.fromarray(numpy.clip(ground(height, width, random), 0, 255).astype(numpy.uint8))
    for _ in range(int(random.integers(1, 6))):
        side = int(random.integers(24, max(32, min(height, width) // 2)))
        glyph = Image.new("RGBA", (160, 160), (0, 0, 0, 0))
        ImageDraw.Draw(glyph).text((12, 8), str(random.choice(characters)), font=font, embedded_color=coloured,
                                   fill=tuple(random.integers(0, 256, 3)) + (255,))
        glyph = glyph.resize((side, side), Image.Resampling.LANCZOS)
        image.paste(glyph, (int(random.integers(0, width - side + 1)), int(random.integers(0, height - side + 1))), glyph)
    return numpy.asarray(image, float)


def pictures(random, emoji_font, count):
    kinds = [dead_leaves, coloured_noise, gradient]
    letters = ImageFont.load_default(size=100)
    kinds.append(lambda h, w, r: drawn_text(h, w, r, letters, list("abcdefghijklmnopqrstuvwxyzABCDEFGHJK0123456789"),
                                            100, False))
    if emoji_font:
        font = ImageFont.truetype(emoji_font, 109)
        faces = [chr(code) for code in list(range(0x1F400, 0x1F43F)) + list(range(0x1F345, 0x1F37F))]
        kinds += 3 * [lambda h, w, r: drawn_text(h, w, r, font, faces, 109, True)]
    for index in range(count):
        height, width = SIZES[random.integers(len(SIZES))]
        picture = kinds[index % len(kinds)](height, width, random)
        if random.random() < 0.5:
            picture = picture + random.uniform(0.3, 4.0) * random.standard_normal(picture.shape)
        yield index % len(kinds), numpy.clip(picture + 0.5, 0, 255).astype(numpy.uint8)


def graphics(height, width, random):
    image = Image.new("RGB", (width, height), tuple(random.integers(0, 256, 3)))
    drawing = ImageDraw.Draw(image)
    for _ in range(int(random.integers(3, 40))):
        x, y = random.integers(0, width), random.integers(0, height)
        across, down = random.integers(4, max(5, width // 2)), random.integers(4, max(5, height // 2))
        colour, shape = tuple(random.integers(0, 256, 3)), random.integers(3)
        if shape == 0:
            drawing.rectangle((x, y, x + across, y + down), fill=colour)
        elif shape == 1:
            drawing.line((x, y, x + across - down, y + down), fill=colour, width=int(random.integers(1, 5)))
        else:
            drawing.ellipse((x, y, x + across, y + down), outline=colour, width=int(random.integers(1, 6)))
    return numpy.asarray(image, float)


def blocks_of_black_and_white(height, width, random):
    side = int(random.choice([4, 5, 8, 10, 16, 20, 32]))
    cells = random.integers(0, 2, (height // side + 2, width // side + 2)) * 255.0
    return numpy.repeat(numpy.kron(cells, numpy.ones((side, side)))[:height, :width, None], 3, axis=2)


def black_lettering(height, width, random):
    image = Image.new("L", (width, height), 255)
    font = ImageFont.load_default(size=int(random.integers(8, 24)))
    for y in range(0, height, 14):
        ImageDraw.Draw(image).text((2, y), "".join(random.choice(list("abcdefghij klmno pqrst"), 60)), font=font, fill=0)
    return numpy.repeat(numpy.asarray(image, float)[..., None], 3, axis=2)


def judge_others(sharpness, weights):
    random = numpy.random.default_rng(5)
    for kind in (graphics, blocks_of_black_and_white, black_lettering):
        samples = []
        for _ in range(24):
            picture = kind(*SIZES[random.integers(len(SIZES))], random)
            picture = numpy.clip(picture + 0.5, 0, 255).astype(numpy.uint8)
            samples += [ratios(picture.astype(float), quality) + (real_bytes(picture, quality),) for quality in QUALITIES]
        error = relative_error(features(samples, sharpness, 1), weights, samples)
        print(f"{kind.__name__}: median {100 * numpy.median(abs(error)):.1f} (bias {100 * numpy.median(error):+.1f}) %, "
              f"90th percentile {100 * numpy.quantile(abs(error), 0.9):.1f} %, worst {100 * abs(error).max():.1f} %")


def features(samples, sharpness, power):
    rows = []
    for alternating, direct, blocks, _ in samples:
        smooth = [numpy.log2(1.0 + numpy.abs(sharpness * part) ** (2 * power)).sum() / (2 * power) / 8
                  for part in (alternating, direct)]
        rows.append([smooth[0], smooth[1], blocks])
    return numpy.array(rows)


def relative_error(rows, weights, samples):
    truth = numpy.array([sample[3] for sample in samples], float)
    return (HEADER + rows @ weights - truth) / truth


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--emoji-font", default="/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
    parser.add_argument("--pictures", type=int, default=140)
    arguments = parser.parse_args()
    random = numpy.random.default_rng(20240229)
    halves, labels = ([], []), ([], [])
    for index, (kind, picture) in enumerate(pictures(random, arguments.emoji_font, arguments.pictures)):
        for quality in QUALITIES:
            alternating, direct, blocks = ratios(picture.astype(float), quality)
            sample = (alternating.astype(numpy.float32), direct.astype(numpy.float32), blocks,
                      real_bytes(picture, quality))
            halves[index // 7 % 2].append(sample)
            labels[index // 7 % 2].append((kind, quality))
    for power in (1, 2):
        best = None
        for sharpness in numpy.geomspace(0.5, 4.0, 19):
            rows = features(halves[0], sharpness, power)
            truth = numpy.array([sample[3] for sample in halves[0]], float)
            solution = numpy.linalg.lstsq(rows / truth[:, None], (truth - HEADER) / truth, rcond=None)[0]
            error = numpy.sqrt((relative_error(rows, solution, halves[0]) ** 2).mean())
            if best is None or error < best[0]:
                best = (error, sharpness, solution)
        error, sharpness, solution = best
        judged = relative_error(features(halves[1], sharpness, power), solution, halves[1])
        print(f"power {power}: sharpness {sharpness:.3f}, AC {solution[0]:.4f}, DC {solution[1]:.4f}, "
              f"bytes a block {solution[2]:.4f}; fitted rms {100 * error:.1f} %, judged rms "
              f"{100 * numpy.sqrt((judged ** 2).mean()):.1f} %, median {100 * numpy.median(abs(judged)):.1f} %, "
              f"90th percentile {100 * numpy.quantile(abs(judged), 0.9):.1f} %, worst {100 * abs(judged).max():.1f} %")
        for group, name in ((1, "quality"), (0, "kind")):
            keys = sorted({label[group] for label in labels[1]})
            print("   median error by", name, ", ".join(
                f"{key}: {100 * numpy.median(abs(judged[[label[group] == key for label in labels[1]]])):.1f}"
                f" (bias {100 * numpy.median(judged[[label[group] == key for label in labels[1]]]):+.1f}) %"
                for key in keys))
    judge_others(2.828, numpy.array([1.9436, 1.0466, 0.6160]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
