"""What Pillow and matplotlib say about images: the values that loadImage, colorize and interpolate are held to.

    python3 test/python/images.py JOB.json OUT

JOB.json: {"jet": [numbers], "resizes": {NAME: {"from": [W, H], "to": [W, H], "filter": "bilinear" | "bicubic" | "lanczos"}}}
OUT/index.json: {"jet": {"table", "values", "colors"}, "resizes": {NAME: {"source", "bytes", "exact"}},
"samples": {FILE: {"path", "pixels"} or {"path"}}}. Needs the packages of requirements.txt, not torch.
"""

import json
import sys
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from PIL import Image

import sample_images

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC,
           "lanczos": Image.Resampling.LANCZOS}


class Store:
    """Arrays as raw little-endian files, described as test/python/tensors.py describes tensors."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.count = 0

    def __call__(self, array):
        self.count += 1
        name = f"arrays/{self.count:05d}.bin"
        (self.folder / "arrays").mkdir(exist_ok=True)
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        (self.folder / name).write_bytes(array.tobytes())
        return {"file": name, "shape": list(array.shape), "dtype": array.dtype.name}


def jet(values, store):
    """The colormap's 256 colours [256, 3], and the colours [n, 3] of `values` (null is NaN) as float32, clamped from
    below as the reference document's colorize does.
    """
    colormap = colormaps["jet"]
    table = np.array([colormap(index)[:3] for index in range(256)], dtype=np.float64)
    values = np.array([np.nan if value is None else value for value in values], dtype=np.float32)
    clamped = np.maximum(values, np.float32(0))  # NaN stays NaN, as in torch.clamp
    return {
        "table": store(table),
        "values": store(values),
        "colors": store(np.asarray(colormap(clamped)[..., :3], dtype=np.float64)),
    }


def textured(width, height, seed):
    """uint8 [H, W, 3]: smooth slopes, hard edges and noise, since a resize differs most at edges."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    slope = np.stack([x * 255 / max(width - 1, 1), y * 255 / max(height - 1, 1), (x + y) % 256], axis=2)
    stripes = np.where(((x // 5) + (y // 7)) % 2 == 0, 90, -90)[..., None]
    noise = random.integers(-40, 41, size=(height, width, 3))
    return np.clip(slope + stripes + noise, 0, 255).astype(np.uint8)


def resize(job, seed, store):
    """`bytes` is Pillow's uint8 result [h, w, 3]; `exact` the same filter without rounding, float32 up to 255."""
    source = textured(*job["from"], seed)
    chosen, size = FILTERS[job["filter"]], tuple(job["to"])
    planes = [Image.fromarray(source[..., channel].astype(np.float32)) for channel in range(3)]
    exact = np.stack([np.asarray(plane.resize(size, chosen)) for plane in planes], axis=2)
    return {
        "source": store(source),
        "bytes": store(np.asarray(Image.fromarray(source).resize(size, chosen))),
        "exact": store(exact.astype(np.float32)),
    }


def main(job_file, folder):
    job = json.loads(Path(job_file).read_text())
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    samples = sample_images.write(folder / "samples")
    index = {
        "jet": jet(job["jet"], store),
        "resizes": {name: resize(part, seed, store) for seed, (name, part) in enumerate(job["resizes"].items())},
        "samples": {
            name: {"path": f"samples/{name}", **({} if pixels is None else {"pixels": store(pixels)})}
            for name, pixels in samples.items()
        },
    }
    (folder / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
