#!/usr/bin/env python3
"""Small picture files of every kind that people have, and their RGB samples as Pillow reads them.

Writes tests/golden/pictures/NAME.png or NAME.jpg with NAME.rgb beside it: rows of RGB bytes of the upright picture, put on
white where it is transparent. Grey of 16 bits is the one kind that Pillow clips instead of scaling; there the rule of
Pillow's other 16-bit kinds is used, the upper byte. Files named damaged-* have no samples: they must be refused.

usage: make_picture_goldens.py [FOLDER]
"""
import io
import pathlib
import struct
import sys
import zlib

import numpy
from PIL import Image, ImageOps

WIDTH, HEIGHT = 7, 5
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]

generator = numpy.random.default_rng(12)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(samples, depth):
    """Rows [height, width * channels] of samples as filtered rows."""
    rows = b""
    for row in samples:
        if depth == 16:
            data = row.astype(">u2").tobytes()
        else:
            bits = "".join(format(int(value), f"0{depth}b") for value in row)
            bits += "0" * (-len(bits) % 8)
            data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
        rows += b"\0" + data
    return rows


def png(color, depth, before=b"", after=b"", interlaced=False, colors=None):
    channels = CHANNELS[color]
    samples = generator.integers(0, colors or 1 << depth, (HEIGHT, WIDTH, channels))
    if color in (GREY_ALPHA, RGBA):
        samples[0, 0, -1], samples[0, 1, -1] = 0, (1 << depth) - 1
    if interlaced:
        passes = [samples[y::down, x::across] for x, y, across, down in ADAM7]
        data = b"".join(packed(part.reshape(part.shape[0], -1), depth) for part in passes if part.size)
    else:
        data = packed(samples.reshape(HEIGHT, -1), depth)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, int(interlaced))
    pieces = chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + pieces, samples


def exif(orientation, order="<", kind=3):
    """A TIFF directory of one other tag and the orientation, as a short (3) or a long (4)."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    value = struct.pack(order + ("Hxx" if kind == 3 else "I"), orientation)
    entries = struct.pack(order + "HHII", 0x0100, 4, 1, WIDTH) + struct.pack(order + "HHI", 0x0112, kind, 1) + value
    return mark + struct.pack(order + "I", 8) + struct.pack(order + "H", 2) + entries + struct.pack(order + "I", 0)


def jpeg(mode, **options):
    channels = {"L": (), "RGB": (3,), "CMYK": (4,)}[mode]
    small = generator.integers(0, 256, (3, 4) + channels).astype(numpy.uint8)
    picture = Image.fromarray(small, mode).resize((20, 12), Image.BICUBIC)
    target = io.BytesIO()
    picture.save(target, "JPEG", **{"quality": 90, **options})
    return target.getvalue()


def as_rgb(data):
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    return picture.convert("RGB").tobytes()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/pictures")
    folder.mkdir(parents=True, exist_ok=True)

    def keep(name, data, rgb=None):
        (folder / name).write_bytes(data)
        if not name.startswith("damaged"):
            (folder / name).with_suffix(".rgb").write_bytes(rgb or as_rgb(data))

    def palette(colors):
        return chunk(b"PLTE", generator.integers(0, 256, 3 * colors).astype(numpy.uint8).tobytes())

    for depth in (1, 2, 4, 8):
        keep(f"grey-{depth}.png", png(GREY, depth)[0])
        keep(f"palette-{depth}.png", png(PALETTE, depth, palette(1 << depth))[0])
        keep(f"palette-{depth}-clear.png", png(PALETTE, depth, palette(1 << depth) + chunk(b"tRNS", b"\x80\x20"))[0])
    for depth in (8, 16):
        keep(f"rgb-{depth}.png", png(RGB, depth)[0])
        keep(f"rgba-{depth}.png", png(RGBA, depth)[0])
        keep(f"rgba-{depth}-interlaced.png", png(RGBA, depth, interlaced=True)[0])
    keep("grey-alpha-8.png", png(GREY_ALPHA, 8)[0])
    keep("grey-1-clear.png", png(GREY, 1, chunk(b"tRNS", b"\0\1"))[0])
    keep("grey-8-clear.png", png(GREY, 8, chunk(b"tRNS", b"\0\3"), colors=8)[0])
    keep("rgb-8-clear.png", png(RGB, 8, chunk(b"tRNS", b"\0\1\0\0\0\1"), colors=2)[0])
    keep("rgb-8-interlaced.png", png(RGB, 8, interlaced=True)[0])
    keep("palette-4-interlaced.png", png(PALETTE, 4, palette(16), interlaced=True)[0])
    data, samples = png(GREY, 16)
    keep("grey-16.png", data, numpy.repeat(samples >> 8, 3, axis=2).astype(numpy.uint8).tobytes())
    linear = chunk(b"gAMA", struct.pack(">I", 100000)) + chunk(b"cHRM", struct.pack(">8I", *[31270, 32900] * 4))
    keep("rgb-8-linear.png", png(RGB, 8, linear)[0])
    keep("rgb-16-linear.png", png(RGB, 16, linear)[0])
    keep("rgb-8-profile.png", png(RGB, 8, chunk(b"iCCP", b"broken\0\0" + zlib.compress(b"no profile")))[0])
    keep("rgb-8-turned.png", png(RGB, 8, chunk(b"eXIf", exif(6)))[0])
    keep("rgb-8-turned-behind.png", png(RGB, 8, b"", chunk(b"eXIf", exif(8, ">")))[0])

    keep("grey.jpg", jpeg("L"))
    keep("rgb.jpg", jpeg("RGB"))
    keep("progressive.jpg", jpeg("RGB", progressive=True))
    keep("cmyk.jpg", jpeg("CMYK"))
    inks = jpeg("CMYK")
    transform = inks.index(b"Adobe") + 11
    keep("ycck.jpg", inks[:transform] + b"\2" + inks[transform + 1 :])
    for orientation in range(1, 9):
        order, kind = "<>"[orientation % 2], 3 + (orientation == 7)
        keep(f"turned-{orientation}.jpg", jpeg("RGB", subsampling=0, exif=b"Exif\0\0" + exif(orientation, order, kind)))

    whole = png(RGB, 8)[0]
    keep("damaged-no-end.png", whole[:-12])
    keep("damaged-half.png", whole[: len(whole) - 40])
    keep("damaged-bit.png", whole[:-30] + bytes([whole[-30] ^ 1]) + whole[-29:])
    scan = jpeg("RGB", progressive=True)
    photo = jpeg("RGB")
    keep("damaged-no-end.jpg", photo[:-2])
    keep("damaged-half.jpg", photo[: len(photo) - 40])
    keep("damaged-gap.jpg", photo[: len(photo) - 40] + b"\xff\xd9")
    keep("damaged-progressive.jpg", scan[: len(scan) - 60])


if __name__ == "__main__":
    main()
