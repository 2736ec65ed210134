"""What Captum and PAIR's saliency make of a model by gradients on paths, and from several baselines.

    python3 test/python/peer_paths.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes", "size", "samples", "draws", "sigma", "deeplift": bool}}}. `draws` are of GradientSHAP, by
sample and image: where on the line ("at") from which baseline. Its noise comes from the seeds that this package draws from.
"""

import copy
import warnings

import numpy as np
import torch

import models
import peers
from job import answer
from reference import stored
from tensors import seeded

attr = peers.captum_attr()
saliency = peers.pair_saliency()
warnings.filterwarnings("ignore")

SEED, SIGMA = 7, 0.2


def baselines_of(x):
    """Three that differ, each of an image."""
    return torch.cat([torch.zeros_like(x[:1]), x.mean(0, keepdim=True), seeded((1, *x.shape[1:]), 21, x.dtype)])


def gradient_shap(model, x, target, draws, sigma):
    """Captum lays the samples of each image side by side."""
    in_order = [draws[s][n] for n in range(len(x)) for s in range(len(draws))]
    kept = np.random.choice, np.random.uniform, torch.normal
    np.random.choice = lambda _count, _size: np.array([draw["baseline"] for draw in in_order])
    np.random.uniform = lambda _low, _high, _count: np.array([draw["at"] for draw in in_order])
    noise = torch.stack([seeded((1, *x.shape[1:]), SEED + s, x.dtype).expand(x.shape) for s in range(len(draws))], 1).flatten(0, 1)
    torch.normal = lambda _mean, deviation: noise * deviation
    try:
        explainer = attr.GradientShap(copy.deepcopy(model))
        return explainer.attribute(x.clone(), baselines_of(x), n_samples=len(draws), stdevs=sigma, target=target)
    finally:
        np.random.choice, np.random.uniform, torch.normal = kept


def by_pair(method, model, x, classes, **options):
    """PAIR's saliency takes one image at a time, channels last."""
    found = []
    for image, chosen in zip(x, classes):

        def call(batch, call_model_args=None, expected_keys=None):
            given = torch.from_numpy(np.asarray(batch)).permute(0, 3, 1, 2).to(x.dtype).requires_grad_()
            gradient = torch.autograd.grad(model(given)[:, chosen].sum(), given)[0]
            return {saliency.INPUT_OUTPUT_GRADIENTS: gradient.permute(0, 2, 3, 1).double().numpy()}

        last = image.permute(1, 2, 0).double().numpy()
        mask = method().GetMask(last, call, **options)
        found.append(torch.from_numpy(np.ascontiguousarray(mask)).permute(2, 0, 1))
    return torch.stack(found)


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job["size"])
    classes, target = job["classes"], torch.tensor(job["classes"])
    # Guided IG orders positions by their gradients. From a flat baseline those are equal but for rounding in most nets, so that
    # another processor gives another order: from noise they differ.
    noise = baselines_of(x)[2].permute(1, 2, 0).double().numpy()
    cases = {
        "baselines": baselines_of(x),
        "gradient-shap": gradient_shap(model, x, target, job["draws"], 0.0),
        "noisy gradient-shap": gradient_shap(model, x, target, job["noisy draws"], SIGMA),
        "blur-ig": by_pair(saliency.BlurIG, model, x, classes, max_sigma=6, steps=12),
        "guided-ig": by_pair(saliency.GuidedIG, model, x, classes, x_steps=15, x_baseline=noise),
        "free guided-ig": by_pair(
            saliency.GuidedIG, model, x, classes, x_steps=9, x_baseline=noise, fraction=0.1, max_dist=1.0
        ),
    }
    if job["deeplift"]:
        explainer = attr.DeepLiftShap(copy.deepcopy(model))
        found, delta = explainer.attribute(x.clone(), baselines_of(x), target=target, return_convergence_delta=True)
        cases |= {"deeplift-shap": found, "delta": delta.reshape(len(x), -1).mean(1)}
    cases = stored({key: value.detach() for key, value in cases.items()}, store)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": {"peers": cases}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
