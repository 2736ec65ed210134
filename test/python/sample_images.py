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


def scene():
    """An image [64, 96] of soft gradients and noise of 12 levels, as a photograph has, and one edge between strong colours."""
    y, x = np.mgrid[0:64, 0:96]
    noise = np.random.default_rng(4).normal(0, 4, (64, 96, 3))
    soft = np.stack([128 + 90 * np.sin(x / 21), 128 + 90 * np.cos(y / 17), 128 + 90 * np.sin((x + y) / 25)], -1)
    soft[40:56, 60:84] = (220, 30, 40)
    return Image.fromarray(np.clip(soft + noise, 0, 255).astype(np.uint8))


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
    deep = sixteen_bit(grey[..., None], 0)
    add("grey16.png", deep, decoded(deep))  # Pillow clips at 255
    dark = encoded(Image.fromarray(np.minimum(grey.astype(np.uint16) * 2, 400)), format="png")
    add("grey16_dark.png", dark, decoded(dark))
    signed = np.linspace(-300, 300, 6).astype(np.int16).reshape(2, 3)
    content = encoded(Image.fromarray(signed.astype(np.uint16)), format="tiff", tiffinfo={339: 2})
    add("grey16_signed.tiff", content, decoded(content))
    dark = encoded(Image.fromarray(np.minimum(grey.astype(np.uint16) * 2, 400)), format="tiff")
    add("grey16_dark.tiff", dark, decoded(dark))
    add("rgb16.png", sixteen_bit(pixels, 2), pixels)
    add("palette.png", encoded(image.quantize(16), format="png"), np.asarray(image.quantize(16).convert("RGB")))
    add("one_bit.png", encoded(Image.fromarray(grey > 100), format="png"), three(((grey > 100) * 255).astype(np.uint8)))
    cmyk = encoded(image.convert("CMYK"), format="jpeg", quality=95)
    add("cmyk.jpg", cmyk, decoded(cmyk))
    inks = Image.fromarray(np.random.default_rng(3).integers(0, 256, (32, 48, 4), dtype=np.uint8), "CMYK")
    for name, content in {
        "cmyk_noise.tiff": encoded(inks, format="tiff"),
        "cmyk_noise.jpg": encoded(inks, format="jpeg", quality=95, subsampling=0),
        "cmyk_unmarked.jpg": cmyk.replace(b"\xff\xee\x00\x0eAdobe", b"\xff\xee\x00\x0eOther"),
    }.items():
        add(name, content, decoded(content))
    second = Image.fromarray(255 - pixels)
    animated = encoded(image.quantize(16), format="gif", save_all=True, append_images=[second.quantize(16)])
    add("animated.gif", animated, decoded(animated))
    # All colours, or a quarter of them, which libheif brings to full size otherwise than Pillow's libavif.
    for name, subsampling in {"full.avif": "4:4:4", "quarter.avif": "4:2:0"}.items():
        content = encoded(scene(), format="avif", quality=90, subsampling=subsampling)
        add(name, content, decoded(content))
    content = encoded(scene(), format="jpeg", quality=90, subsampling=2)
    add("quarter.jpg", content, decoded(content))
    one_pixel = np.array([[[10, 200, 30]]], dtype=np.uint8)
    add("one_pixel.png", encoded(Image.fromarray(one_pixel), format="png"), one_pixel)

    odd = Image.fromarray(np.random.default_rng(1).integers(0, 256, (7, 13, 3), dtype=np.uint8))
    bitmaps = {
        "rgb.bmp": odd,
        "rgba.bmp": odd.convert("RGBA"),
        "grey.bmp": odd.convert("L"),
        "palette.bmp": odd.quantize(16),
        "one_bit.bmp": odd.convert("1"),
        "core.dib": odd,
    }
    for name, kind in bitmaps.items():
        content = encoded(kind, format=name.split(".")[1])
        if name == "core.dib":  # the header of OS/2, from before that of Windows
            content = encoded(kind, format="bmp")
            core = struct.pack("<IHHHH", 12, odd.width, odd.height, 1, 24)
            content = b"BM" + struct.pack("<IHHI", 26 + len(content) - 54, 0, 0, 26) + core + content[54:]
        add(name, content, decoded(content))
    fields = np.random.default_rng(2).integers(0, 1 << 15, (5, 6), dtype=np.uint16)
    header = struct.pack("<IiiHHIIiiII", 40, 6, -5, 1, 16, 0, 0, 0, 0, 0, 0)
    content = b"BM" + struct.pack("<IHHI", 54 + 60, 0, 0, 54) + header + fields.tobytes()
    add("fifteen_bits_from_the_top.bmp", content, decoded(content))
    for name, kind in {"rgb.ppm": odd, "grey.pgm": odd.convert("L"), "one_bit.pbm": odd.convert("1")}.items():
        content = encoded(kind, format="ppm")
        add(name, content, decoded(content))
    low = b"P5 # a comment\n6 1\n100\n" + bytes([0, 1, 33, 50, 99, 100])
    add("of_100.pgm", low, decoded(low))
    wide = b"P5 6 1 65535\n" + np.array([0, 1, 255, 256, 1000, 65535], dtype=">u2").tobytes()
    add("wide.pgm", wide, decoded(wide))
    wide = b"P6 2 1 1000\n" + np.array([0, 1, 499, 500, 999, 1000], dtype=">u2").tobytes()
    add("wide.ppm", wide, decoded(wide))
    text = b"P3\n# text\n2 2 255\n1 2 3  4 5 6\n255 254 253\n9 8 7\n"
    add("text.ppm", text, decoded(text))
    text = b"P1\n3 2\n1 0 1\n011\n"
    add("text.pbm", text, decoded(text))

    bmp = encoded(odd, format="bmp")
    add("truncated.bmp", bmp[:-40], None)
    add("truncated.ppm", encoded(odd, format="ppm")[:-3], None)
    add("compressed.bmp", bmp[:30] + struct.pack("<I", 1) + bmp[34:], None)
    add("damaged.bmp", bmp[:14] + b"\xff" * 40 + bmp[54:], None)
    add("no_size.ppm", b"P6\nmany\n", None)
    add("photo.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200), None)
    add("photo.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200), None)
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
