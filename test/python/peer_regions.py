"""What PAIR's saliency makes of a model by regions of the image, from integrated gradients of Captum.

    python3 test/python/peer_regions.py JOB.json OUT

JOB.json: {"models": {CASE: {"net", "classes", "size", "shared": bool, "large": bool}}}. A large image is smooth, and PAIR's saliency
segments it by scikit-image; of the others it is given masks, of segmentations that the answer has: one for all images, or one for each.
"""

import warnings

import numpy as np
import torch
from torch.nn import functional as F

import models
import peers
from job import answer
from reference import stored
from tensors import seeded

attr = peers.captum_attr()
saliency = peers.pair_saliency()
warnings.filterwarnings("ignore")

STEPS = 20


def from_black_and_white(model, x, target):
    """Black is the least value of an image and white its greatest, as PAIR's saliency has them."""
    explainer = attr.IntegratedGradients(model)
    ends = (x.amin((1, 2, 3), keepdim=True), x.amax((1, 2, 3), keepdim=True))
    found = [
        explainer.attribute(x, end.expand_as(x), target=target, n_steps=STEPS, method="gausslegendre") for end in ends
    ]
    return (found[0] + found[1]) / 2


def segmentations(shape, seed):
    """Blocks of three sizes, turned by a seed, with a label that lies in two places. [S, H, W]"""
    height, width = shape[2:]
    y, x = torch.arange(height).reshape(-1, 1), torch.arange(width).reshape(1, -1)
    found = []
    for rows, columns in ((4, 5), (7, 6), (2, 9)):
        labels = ((y + seed) // rows) * 11 + (x + 2 * seed) // columns - 5
        labels[0, 0] = labels[-1, -1]
        found.append(labels)
    return torch.stack(found)


def xrai(image, attribution, labels):
    parameters = saliency.XRAIParameters()
    options = {}
    if labels is not None:
        options["segments"] = [(own == n).numpy() for own in labels for n in own.unique()]
        # As much of the image as 50 pixels are of 224 x 224.
        parameters.experimental_params["min_pixel_diff"] = 50 * labels[0].numel() / 224**2
    last = lambda one: one.permute(1, 2, 0).detach().double().numpy()
    found = saliency.XRAI().GetMaskWithDetails(
        last(image), None, base_attribution=last(attribution), extra_parameters=parameters, **options
    )
    return torch.from_numpy(np.ascontiguousarray(found.attribution_mask))[None]


def run_model(name, job, folder, store):
    net = job["net"]
    model, x = models.build(net, 0), models.example(net, 1, job["size"])
    if job["large"]:
        smooth = F.interpolate(seeded((len(x), 3, 8, 9), 3, x.dtype), x.shape[2:], mode="bicubic")
        x = smooth + 0.02 * seeded(x.shape, 4, x.dtype)
    attribution = from_black_and_white(model, x, torch.tensor(job["classes"]))
    labels = None
    if not job["large"]:
        labels = torch.stack([segmentations(x.shape, 0 if job["shared"] else n) for n in range(len(x))])
    found = [xrai(x[n], attribution[n], None if labels is None else labels[n]) for n in range(len(x))]
    cases = {"xrai": torch.stack(found)}
    if labels is not None:
        cases["labels"] = labels[:1] if job["shared"] else labels
    files = models.write_torchscript(net, model, x, folder)
    return {"files": files, "input": store(x), "cases": {"pair": stored(cases, store)}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
