"""Image files of every kind that loadImage may meet, with the pixels that it should see."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

ORIENTATION = 0x0112
# How the pixels of an upright image lie in the file for each value of EXIF's orientation tag.
STORED_AS = {
    1: lambda image: image,
    2: lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    3: lambda image: image.transpose(Image.Transpose.ROTATE_180),
    4: lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
    5: lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    6: lambda image: image.transpose(Image.Transpose.ROTATE_90),
    7: lambda image: image.transpose(Image.Transpose.TRANSVERSE),
    8: lambda image: image.transpose(Image.Transpose.ROTATE_270),
}


def upright():
    """uint8 [32, 48, 3] whose four quarters differ, so that every flip and turn shows; even JPEG keeps it well."""
    pixels = np.zeros((32, 48, 3), dtype=np.uint8)
    pixels[:16, :24] = (220, 40, 40)
    pixels[:16, 24:] = (40, 200, 60)
    pixels[16:, :24] = (50, 70, 210)
    pixels[16:, 24:] = (230, 210, 60)
    return pixels


def png(width, height, depth, color_type, rows):
    """A PNG made by hand, for the kinds that Pillow does not write. `rows` is an iterable of packed rows."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    squeeze = zlib.compressobj(9)
    packed = b"".join(squeeze.compress(b"\0" + row) for row in rows) + squeeze.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def sixteen_bit(pixels, color_type):
    """Each 8-bit value v as v * 257, which is the same brightness."""
    wide = pixels.astype(">u2") * 257
    return png(pixels.shape[1], pixels.shape[0], 16, color_type, (row.astype(">u2").tobytes() for row in wide))


def grey_of(pixels):
    return np.asarray(Image.fromarray(pixels).convert("L"))


def three(grey):
    return np.repeat(grey[..., None], 3, axis=2)


def encoded(image, **options):
    result = io.BytesIO()
    image.save(result, **options)
    return result.getvalue()


def decoded(content):
    """The pixels as Pillow reads them, uint8 [H, W, 3]."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def write(folder):
    """Writes the files and returns {file name: uint8 [H, W, 3], or None where the file is to be refused}.

    Pixels with an alpha channel are given without it, as `convert('RGB')` in the reference document drops it.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pixels = upright()
    grey = grey_of(pixels)
    image = Image.fromarray(pixels)
    alpha = np.tile(np.linspace(0, 255, 48).astype(np.uint8), (32, 1))
    files = {}

    def add(name, content, expected):
        (folder / name).write_bytes(content)
        files[name] = expected

    for name in ("rgb.png", "rgb.tiff", "rgb.webp"):
        kind = name.split(".")[1]
        add(name, encoded(image, format=kind, **({"lossless": True} if kind == "webp" else {})), pixels)
    jpeg = encoded(image, format="jpeg", quality=95, subsampling=0)
    add("rgb.jpg", jpeg, decoded(jpeg))
    for value, stored_as in STORED_AS.items():
        exif = Image.Exif()
        exif[ORIENTATION] = value
        content = encoded(stored_as(image), format="jpeg", quality=95, subsampling=0, exif=exif)
        add(f"orientation_{value}.jpg", content, pixels)
    add("alpha.png", encoded(Image.fromarray(np.dstack([pixels, alpha])), format="png"), pixels)
    add("grey.png", encoded(Image.fromarray(grey), format="png"), three(grey))
    add("grey_alpha.png", encoded(Image.fromarray(np.dstack([grey, alpha])), format="png"), three(grey))
    grey_jpeg = encoded(Image.fromarray(grey), format="jpeg", quality=95)
    add("grey.jpg", grey_jpeg, decoded(grey_jpeg))
    add("grey16.png", sixteen_bit(grey[..., None], 0), three(grey))
    add("rgb16.png", sixteen_bit(pixels, 2), pixels)
    add("palette.png", encoded(image.quantize(16), format="png"), np.asarray(image.quantize(16).convert("RGB")))
    add("one_bit.png", encoded(Image.fromarray(grey > 100), format="png"), three(((grey > 100) * 255).astype(np.uint8)))
    cmyk = encoded(image.convert("CMYK"), format="jpeg", quality=95)
    add("cmyk.jpg", cmyk, decoded(cmyk))
    second = Image.fromarray(255 - pixels)
    animated = encoded(image.quantize(16), format="gif", save_all=True, append_images=[second.quantize(16)])
    add("animated.gif", animated, decoded(animated))
    one_pixel = np.array([[[10, 200, 30]]], dtype=np.uint8)
    add("one_pixel.png", encoded(Image.fromarray(one_pixel), format="png"), one_pixel)

    add("truncated.jpg", jpeg[: len(jpeg) // 2], None)
    random = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    add("truncated.png", encoded(Image.fromarray(random), format="png")[:4000], None)
    add("empty.png", b"", None)
    add("text.png", b"Not an image, but a note to say so.\n", None)
    # A few kilobytes that would fill 2.5 GB once unpacked.
    side = 30_000
    blank = bytes((side + 7) // 8)
    add("bomb.png", png(side, side, 1, 0, (blank for _ in range(side))), None)
    return files
