"""Images of regions whose borders are known, and scikit-image's superpixels and segments of them.

    python3 test/python/peer_superpixels.py JOB.json OUT

JOB.json: {"models": {NAME: {"size", "regions", "noise", "channels", "segments", "graphs"}}}: a Voronoi diagram of random points, each
region of a colour of its own. Answers with the image [1, C, H, W], the regions, and scikit-image's SLIC without smoothing. `graphs` are
options of Felzenszwalb's segmentation: the noise makes all differences differ, so that only one result is right. "bytes" is
the image in 256 levels, where many are equal.
"""

import numpy as np
import torch
from skimage.segmentation import felzenszwalb, slic

from job import answer
from reference import stored


def run_model(name, job, _folder, store):
    generator = np.random.default_rng(job["seed"])
    height, width = job["size"]
    y, x = np.mgrid[:height, :width]
    points = generator.uniform(size=(job["regions"], 2)) * [height, width]
    regions = ((y[..., None] - points[:, 0]) ** 2 + (x[..., None] - points[:, 1]) ** 2).argmin(-1)
    colours = generator.uniform(0.1, 0.9, size=(job["regions"], job["channels"]))
    image = np.clip(colours[regions] + job["noise"] * generator.normal(size=(height, width, job["channels"])), 0, 1)
    # The ends of the range are there, so that scaling to it changes nothing.
    image[0, 0], image[-1, -1] = 0, 1
    colour = job["channels"] == 3
    segments = slic(
        image if colour else image * 100,
        n_segments=job["segments"],
        compactness=10,
        sigma=0,
        convert2lab=colour,
        start_label=0,
        channel_axis=-1,
    )
    levels = np.round(image * 255) / 255
    graphs = {}
    for n, options in enumerate(job["graphs"]):
        graphs[f"graph {n}"] = felzenszwalb(image, channel_axis=-1, **options)
        graphs[f"bytes graph {n}"] = felzenszwalb(levels, channel_axis=-1, **options)
    found = {"image": image.transpose(2, 0, 1)[None], "regions": regions.astype(np.int64), "segments": segments.astype(np.int64)}
    found |= {"bytes": levels.transpose(2, 0, 1)[None]} | {key: one.astype(np.int64) for key, one in graphs.items()}
    return {"files": {}, "input": store(torch.zeros(1)), "cases": {"skimage": stored({key: torch.from_numpy(np.ascontiguousarray(value)) for key, value in found.items()}, store)}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
