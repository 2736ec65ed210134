"""Images as torchvision's and timm's evaluation transforms give them to a model, by Pillow.

    python3 test/python/preprocess.py OUT

OUT/index.json: {"images": {FILE: {PRESET: {"bytes", "scaled"}}}, "spread": {NAME: {...}}}: uint8 [h, w, 3] before and float32
[3, h, w] after ToTensor and Normalize, and maps laid back over images. The rules are derived again from the transforms'
documentation and Pillow's arguments, not taken from their code. Needs the packages of requirements.txt, not torch.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from images import Store, textured

BILINEAR, BICUBIC = Image.Resampling.BILINEAR, Image.Resampling.BICUBIC
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


def shorter_side(image, size, resample):
    """torchvision's Resize(int)."""
    width, height = image.size
    short, long = min(width, height), max(width, height)
    other = int(size * long / short)
    return image.resize((size, other) if width <= height else (other, size), resample)


def center_crop(image, size, fill=(0, 0, 0)):
    """torchvision's CenterCrop, which pads an image that is too small."""
    width, height = image.size
    if width < size or height < size:
        left, top = max(0, (size - width) // 2), max(0, (size - height) // 2)
        padded = Image.new("RGB", (max(width, size), max(height, size)), fill)
        padded.paste(image, (left, top))
        image, (width, height) = padded, padded.size
    top, left = int(round((height - size) / 2.0)), int(round((width - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def inside(image, size, resample):
    """timm's ResizeKeepRatio with longest=1, of crop_mode 'border'."""
    ratio = max(image.size[0] / size, image.size[1] / size)
    return image.resize(tuple(max(1, round(side / ratio)) for side in image.size), resample)


PRESETS = {
    "imagenet": (lambda p: center_crop(shorter_side(p, 256, BILINEAR), 224), IMAGENET),
    "imagenet-v2": (lambda p: center_crop(shorter_side(p, 232, BILINEAR), 224), IMAGENET),
    "inception": (lambda p: center_crop(shorter_side(p, 342, BILINEAR), 299), IMAGENET),
    "timm": (lambda p: center_crop(shorter_side(p, int(224 / 0.875), BICUBIC), 224), IMAGENET),
    "timm-0.9": (lambda p: center_crop(shorter_side(p, int(224 / 0.9), BICUBIC), 224), IMAGENET),
    "timm-0.95": (lambda p: center_crop(shorter_side(p, int(224 / 0.95), BICUBIC), 224), IMAGENET),
    "timm-1.0": (lambda p: center_crop(shorter_side(p, 224, BICUBIC), 224), IMAGENET),
    "timm-bilinear": (lambda p: center_crop(shorter_side(p, int(224 / 0.875), BILINEAR), 224), IMAGENET),
    "clip": (lambda p: center_crop(shorter_side(p, 224, BICUBIC), 224), CLIP),
    "squash": (lambda p: p.resize((224, 224), BILINEAR), IMAGENET),
    "letterbox": (lambda p: center_crop(inside(p, 224, BILINEAR), 224, (124, 116, 104)), IMAGENET),
    # Larger than the image on both sides: nothing but padding around it.
    "padded": (lambda p: center_crop(p, 1000), IMAGENET),
    "lanczos": (lambda p: center_crop(shorter_side(p, 97, Image.Resampling.LANCZOS), 64), IMAGENET),
}
# Landscape, portrait, square, tiny, thin, and sizes whose halves round to even; and one so tall that Pillow starts with its
# columns.
IMAGES = {
    "a.png": (500, 375),
    "b.png": (333, 501),
    "c.png": (224, 224),
    "d.png": (1, 1),
    "e.png": (37, 400),
    "f.jpg": (640, 427),
    "g.png": (3, 1000),
}


def spread(values, height, width, resized, offset, size):
    """A map over the window, sampled at the centre of every pixel of the image, in float64; NaN outside of the window."""
    cells_y, cells_x = values.shape

    def axis(pixels, to, start, window, cells):
        at = (np.arange(pixels) + 0.5) * to / pixels - start
        cell = np.clip(at * cells / window - 0.5, 0, cells - 1)
        return (at >= 0) & (at < window), np.floor(cell).astype(int), cell - np.floor(cell)

    seen_y, y0, wy = axis(height, resized[0], offset[0], size[0], cells_y)
    seen_x, x0, wx = axis(width, resized[1], offset[1], size[1], cells_x)
    y1, x1 = np.minimum(y0 + 1, cells_y - 1), np.minimum(x0 + 1, cells_x - 1)
    top = values[y0][:, x0] * (1 - wx) + values[y0][:, x1] * wx
    bottom = values[y1][:, x0] * (1 - wx) + values[y1][:, x1] * wx
    result = top * (1 - wy[:, None]) + bottom * wy[:, None]
    result[~(seen_y[:, None] & seen_x[None, :])] = np.nan
    return result


# [height, width] of the image and of what it was resized to, the window's offset and size, and the map's cells.
SPREADS = {
    "crop": ((375, 500), (256, 341), (16, 58), (224, 224), (7, 7)),
    "padding": ((100, 60), (224, 134), (0, -45), (224, 224), (7, 9)),
    "whole": ((48, 64), (48, 64), (0, 0), (48, 64), (6, 8)),
}


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    store = Store(out)
    index = {"images": {}, "spreads": {}}
    for seed, (name, (width, height)) in enumerate(IMAGES.items()):
        image = Image.fromarray(textured(width, height, seed))
        image.save(out / name, **({"quality": 92} if name.endswith("jpg") else {}))
        image = Image.open(out / name).convert("RGB")
        entry = index["images"][name] = {}
        for preset, (transform, (mean, std)) in PRESETS.items():
            pixels = np.asarray(transform(image))
            scaled = pixels.astype(np.float32) / np.float32(255)
            scaled = (scaled - np.float32(mean)) / np.float32(std)
            entry[preset] = {"bytes": store(pixels), "scaled": store(np.moveaxis(scaled, 2, 0))}
    for seed, (name, (size, resized, offset, window, cells)) in enumerate(SPREADS.items()):
        values = np.random.default_rng(seed).random(cells).astype(np.float32)
        full = spread(values.astype(np.float64), *size, resized, offset, window)
        index["spreads"][name] = {
            "map": store(values),
            "image": store(textured(size[1], size[0], seed)),
            "framing": {"resized": resized, "offset": offset, "size": window},
            "spread": store(full),
        }
    (out / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
