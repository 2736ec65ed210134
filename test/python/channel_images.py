"""Images of other than three channels, and what Pillow and NumPy make of them.

    python3 test/python/channel_images.py OUT

OUT/index.json: {"grey": {FILE: {"values": FILE of uint8 [24, 32]}}, "pages": ..., "arrays": {FILE: {"shape", "values"}}}. Files of
values are raw float32 or uint8.
"""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def noise(mode, size, seed):
    bands = {"RGB": 3, "RGBA": 4, "L": 1, "LA": 2, "CMYK": 4}.get(mode, 1)
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    return Image.fromarray(values.squeeze(), mode)


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    size, to = (61, 47), (32, 24)
    index = {"grey": {}, "arrays": {}}

    def save(name, values):
        (folder / name).write_bytes(np.ascontiguousarray(values).tobytes())
        return name

    images = {
        "rgb.png": noise("RGB", size, 1),
        "rgba.png": noise("RGBA", size, 2),
        "l.png": noise("L", size, 3),
        "la.png": noise("LA", size, 4),
        "palette.png": noise("RGB", size, 5).quantize(64),
        "one.png": noise("L", size, 6).convert("1"),
        "rgb.bmp": noise("RGB", size, 7),
        "l.tif": noise("L", size, 8),
    }
    for name, image in images.items():
        image.save(folder / name)
        grey = Image.open(folder / name).convert("L").resize(to, Image.BILINEAR)
        index["grey"][name] = save(f"{name}.grey", np.asarray(grey))

    pages = [noise("L", size, 10 + i) for i in range(4)]
    pages[0].save(folder / "pages.tif", save_all=True, append_images=pages[1:])
    small = [np.asarray(page.resize(to, Image.BILINEAR)) for page in pages]
    index["pages"] = save("pages.values", np.stack(small))
    pages[0].save(folder / "uneven.tif", save_all=True, append_images=[noise("L", (30, 30), 1)])

    numbers = np.random.default_rng(0)
    for name, array in {
        "f4.npy": numbers.random((2, 3, 4), dtype=np.float32),
        "f8.npy": numbers.random((5,)),
        "i8.npy": numbers.integers(-9, 9, (2, 2)),
        "i4.npy": numbers.integers(-9, 9, (2, 2), dtype=np.int32),
        "u1.npy": numbers.integers(0, 255, (1, 3, 2, 2), dtype=np.uint8),
        "u2.npy": numbers.integers(0, 65535, (2, 3), dtype=np.uint16),
        "bool.npy": numbers.random((4,)) > 0.5,
        "scalar.npy": np.float32(2.5),
    }.items():
        np.save(folder / name, array)
        values = save(f"{name}.values", np.asarray(array, dtype=np.float32))
        index["arrays"][name] = {"shape": list(np.shape(array)), "values": values}
    np.save(folder / "columns.npy", np.asfortranarray(numbers.random((3, 4))))
    np.save(folder / "complex.npy", np.zeros(3, dtype=np.complex64))
    np.save(folder / "big.npy", np.zeros(3, dtype=">f4"))
    (folder / "short.npy").write_bytes((folder / "f4.npy").read_bytes()[:-4])
    (folder / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main(sys.argv[1])
