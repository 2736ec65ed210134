"""What Captum makes of a model by changing its input: the attributions that the tests hold this package to.

    python3 test/python/peer_perturbations.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "size": [...], "scale": 1}}}. What covers an image is
`scale` times as large. `features` and `own features` are masks of features that
the images share, and one mask per image.
"""

import warnings

import torch

import models
import peers
from job import answer
from reference import stored

attr = peers.captum_attr()
warnings.filterwarnings("ignore")


def blocks(shape, rows, columns):
    """A number for each block of an image [1, 1, H, W], with gaps between them and a block that lies in two places."""
    height, width = shape[2:]
    y, x = torch.arange(height).reshape(-1, 1), torch.arange(width).reshape(1, -1)
    numbers = (y // rows) * 7 + x // columns
    numbers[0, 0] = numbers[-1, -1]
    return numbers[None, None]


def images_of(model, x, target, scale):
    channels, height, width = x.shape[1:]
    occlusion, ablation = attr.Occlusion(model), attr.FeatureAblation(model)
    baseline = x.flip(3).mean(0, keepdim=True)
    features = blocks(x.shape, 5 * scale, 4 * scale)
    own = torch.cat([features.roll(i, 3) * (i + 1) for i in range(len(x))]).expand(x.shape)
    scaled = lambda channels, height, width: (channels, height * scale, width * scale)
    return {
        "occlusion": occlusion.attribute(x, scaled(channels, 4, 5), scaled(1, 3, 2), target=target),
        "occlusion by channels": occlusion.attribute(x, scaled(1, 7, 6), scaled(1, 4, 6), baselines=0.25, target=target),
        "occlusion with an image": occlusion.attribute(
            x, (channels, height, 3 * scale), (1, 1, 2 * scale), baselines=baseline.expand_as(x), target=target
        ),
        "baseline": baseline,
        "features": features,
        "feature ablation": ablation.attribute(x, feature_mask=features.expand(1, *x.shape[1:]), target=target),
        "own features": own,
        "own feature ablation": ablation.attribute(x, baselines=-0.5, feature_mask=own, target=target),
    }


def signals_of(model, x, target, _scale):
    channels = x.shape[1]
    return {
        "every element": attr.FeatureAblation(model).attribute(x, target=target),
        "occlusion": attr.Occlusion(model).attribute(x, (channels, 6), (1, 5), target=target),
    }


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job.get("size"))
    target = torch.tensor(job["classes"])
    with torch.no_grad():
        cases = (images_of if x.dim() == 4 else signals_of)(model, x, target, job.get("scale", 1))
    return {
        "files": models.write_torchscript(name, model, x, folder),
        "input": store(x),
        "cases": {"captum": stored(cases, store)},
    }


if __name__ == "__main__":
    answer(run_model)
