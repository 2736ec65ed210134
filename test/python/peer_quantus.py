"""What Quantus, SciPy and the formulas themselves say of maps: what the tests hold further metrics of lib/metrics to.

    python3 test/python/peer_quantus.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "size": [...], "patch": P, "groups": G}}}. Quantus perturbs elements of arrays of
numbers, where this package exchanges pixels. It is therefore given masks [N, 1, H, W], and a model that makes images of them.
What it draws is replaced by the numbers of the seeds that this package draws from. Where Quantus 0.6 is wrong, what it says
is kept as a defect, and the formula is derived here in float64 NumPy.
"""

import warnings

import numpy as np
import torch
from scipy.stats import pearsonr
from torch.nn import functional as F

import models
import peers
from job import answer
from reference import stored
from tensors import seeded

quantus = peers.quantus()
attr = peers.captum_attr()
warnings.filterwarnings("ignore")

SAMPLES, SUBSET, SIGMA, RADIUS, SEED, STEPS = 6, 23, 0.7, 0.05, 5, 9
PLAIN = {"disable_warnings": True, "normalise": False}


class OfMasks(torch.nn.Module):
    """The probabilities of images whose pixels are those of x where the mask is 1, 0 where it is 0, and those of noise s where
    it is -1 - s."""

    def __init__(self, model, x, noises=()):
        super().__init__()
        self.model, self.x, self.noises = model, x, noises

    def forward(self, masks):
        images = torch.where(masks == 1, self.x, torch.zeros_like(self.x))
        for s, noise in enumerate(self.noises):
            images = torch.where(masks == -1 - s, noise, images)
        return self.model(images).softmax(1)


def asked(metric, model, x, maps, classes, **more):
    given = {"model": model, "x_batch": x, "y_batch": np.array(classes), "a_batch": maps.copy()}
    found = metric(**given, device="cpu", softmax=False, **more)
    return np.array(found, np.float64)


def masks_of(shape):
    """A rectangle of another size in each image, and pixels scattered over it."""
    count, _, height, width = shape
    masks = seeded((count, 1, height, width), 12, torch.float32, "rand").numpy() < 0.1
    for i, mask in enumerate(masks):
        mask[0, 2 + i : height // 2 + i, 3 : width - 3 - 2 * i] = True
    return masks


def of_maps_alone(x, maps, gradient):
    found = {}
    images = np.ones(tuple(x.shape))
    scaled = gradient / np.abs(gradient).max()  # Quantus adds 1e-7 to each value
    for name, given in {"map": maps, "signed": maps - 0.4, "gradient": scaled}.items():
        found[f"sparseness {name}"] = asked(quantus.Sparseness(**PLAIN), None, images, given, [0] * len(x))
        found[f"complexity {name}"] = asked(quantus.Complexity(**PLAIN), None, images, given, [0] * len(x))
    return found


def of_masks(x, maps):
    masks = masks_of(x.shape)
    images = np.ones(tuple(x.shape))
    found = {"masks": masks[:, 0]}
    for name, metric in {"mass": quantus.RelevanceMassAccuracy, "rank": quantus.RelevanceRankAccuracy}.items():
        found[name] = asked(metric(**PLAIN), None, images, maps, [0] * len(x), s_batch=masks)
    signed = maps - 0.4
    found["mass signed"] = [(m * s.clip(min=0)).sum() / s.clip(min=0).sum() for s, m in zip(signed, masks)]
    # Few values, so that many are equal: the first in row-major order comes first, where Quantus takes any.
    found["rank coarse"] = []
    for values, mask in zip(np.floor(maps * 8), masks):
        inside = mask.ravel()
        best = np.argsort(-values.ravel(), kind="stable")[: inside.sum()]
        found["rank coarse"].append(inside[best].mean())
    return found


def of_exchanges(model, x, maps, job):
    classes, height, width, count = job["classes"], *x.shape[2:], len(x)
    ones = np.ones((count, 1, height, width))
    pixels = height * width
    net = OfMasks(model, x).eval()
    found = {}

    def scores(masks):
        with torch.no_grad():
            all_scores = net(torch.from_numpy(masks)).double().numpy()
        return all_scores[np.arange(count), classes]

    # Of one sample all images have the same subset.
    subsets = [
        np.argsort(seeded((pixels,), SEED + s, x.dtype, "rand").numpy(), kind="stable")[:SUBSET] for s in range(SAMPLES)
    ]
    calls = iter(s for s in subsets for _ in range(count))
    usual, np.random.choice = np.random.choice, lambda *_, **__: next(calls)
    try:
        metric = quantus.FaithfulnessCorrelation(
            nr_runs=SAMPLES, subset_size=SUBSET, perturb_baseline=0.0, abs=False, return_aggregate=False, **PLAIN
        )
        found["faithfulness"] = asked(metric, net, ones, maps, classes)
    finally:
        np.random.choice = usual

    # The area, which Quantus takes by a function that NumPy has no more.
    metric = quantus.Selectivity(patch_size=job["patch"], perturb_baseline=0.0, **PLAIN)
    curves = np.concatenate([scores(ones)[:, None], asked(metric, net, ones, maps, classes)], 1)
    found["selectivity"] = np.trapezoid(curves, dx=1 / (curves.shape[1] - 1))
    found["selectivity curve"] = curves.mean(0)

    # Patches that do not divide the image evenly, pixel by pixel.
    side = job["patch"] - 1
    ragged = []
    for i in range(count):
        corners = [(r, c) for r in range(0, height, side) for c in range(0, width, side)]
        sums = [maps[i, 0, r : r + side, c : c + side].sum() for r, c in corners]
        order = np.argsort(-np.array(sums), kind="stable")
        curve = []
        for k in range(STEPS + 1):
            masks = ones.copy()
            for p in order[: int(np.floor(k * len(corners) / STEPS + 0.5))]:
                r, c = corners[p]
                masks[:, :, r : r + side, c : c + side] = 0
            curve.append(scores(masks)[i])
        ragged.append(np.trapezoid(curve, dx=1 / STEPS))
    found["selectivity ragged"] = ragged

    # The least relevant pixels are put in first. Quantus puts in the baseline, and so finds that nothing ever falls.
    for steps in (2, STEPS, job["groups"]):
        rises, curves = [], []
        for i in range(count):
            order = np.argsort(maps[i].ravel(), kind="stable")
            curve = []
            for k in range(steps + 1):
                masks = np.zeros_like(ones)
                masks.reshape(count, -1)[:, order[: int(np.floor(k * pixels / steps + 0.5))]] = 1
                curve.append(scores(masks)[i])
            rises.append(float(all(b >= a for a, b in zip(curve[1:], curve[2:]))))
            curves.append(curve)
        name = "groups" if steps == job["groups"] else steps
        found[f"monotonicity {name}"] = rises
        found[f"monotonicity curve {name}"] = np.mean(curves, 0)
    step = pixels // job["groups"]
    metric = quantus.Monotonicity(features_in_step=step, perturb_baseline=0.0, **PLAIN)
    found["monotonicity defect"] = asked(metric, net, ones, maps, classes)

    noises = [SIGMA * seeded((1, *x.shape[1:]), SEED + s, x.dtype) for s in range(SAMPLES)]
    calls = iter(range(SAMPLES * job["groups"]))

    def replaced(arr, indices, **_):
        changed = arr.copy()
        changed[np.arange(len(arr))[:, None], indices] = -1 - next(calls) % SAMPLES
        return changed

    metric = quantus.MonotonicityCorrelation(
        features_in_step=step, nr_samples=SAMPLES, perturb_func=replaced, abs=True, **PLAIN
    )
    # Negative in part: Quantus, too, orders by the absolute values.
    found["monotonicity correlation"] = asked(metric, OfMasks(model, x, noises).eval(), ones, maps - 0.4, classes)
    return found


def of_explanations(model, x, classes):
    """Metrics that explain again, by the gradient, and by its sum over channels on a quarter of the pixels."""
    target = torch.tensor(classes)
    saliency = attr.Saliency(model)

    def gradient_at(images):
        return saliency.attribute(images.clone(), target=target, abs=False).detach()

    def explained(images):
        return F.avg_pool2d(gradient_at(images).sum(1, keepdim=True), 2)

    gradient = gradient_at(x)
    moves = iter((2 * seeded((1, *x.shape[1:]), SEED + s, x.dtype, "rand") - 1) * RADIUS for s in range(SAMPLES))
    metric = quantus.AvgSensitivity(
        nr_samples=SAMPLES,
        abs=False,
        perturb_func=lambda arr, indices, **_: arr + next(moves).numpy().reshape(1, -1),
        **PLAIN,
    )
    found = {"gradient": gradient}
    found["sensitivity"] = asked(
        metric,
        model,
        x.numpy(),
        gradient.numpy(),
        classes,
        explain_func=lambda model, inputs, targets, **_: gradient_at(torch.as_tensor(inputs, dtype=x.dtype)).numpy(),
    )

    def probability(images):
        with torch.no_grad():
            return model(images).softmax(1).gather(1, target[:, None])[:, 0].double().numpy()

    def large(maps):
        return F.interpolate(maps, x.shape[2:], mode="bilinear", align_corners=False)

    first = large(explained(x))
    low, high = first.amin((1, 2, 3), keepdim=True), first.amax((1, 2, 3), keepdim=True)
    shown = x * ((first - low) / (high - low))
    again = large(explained(shown))
    drops = np.maximum(0, 1 - probability(shown) / probability(x))
    alike = [(1 + pearsonr(a.double().ravel(), b.double().ravel())[0]) / 2 for a, b in zip(first, again)]
    mass = ((first - low) / (high - low)).double().mean((1, 2, 3)).numpy()
    found["adcc"] = [3 / sum(1 / term for term in (1 - d, c, 1 - m)) for d, c, m in zip(drops, alike, mass)]
    found["adcc terms"] = [np.mean(drops), np.mean(alike), np.mean(mass)]
    return found


def run_model(name, job, folder, store):
    model, x = models.build(name, 0).eval(), models.example(name, 1, job["size"])
    # No two pixels alike.
    maps = seeded((x.shape[0], 1, *x.shape[2:]), 3, x.dtype, "rand")
    exact = maps.double().numpy()
    explanations = of_explanations(model, x, job["classes"])
    found = {
        "alone": of_maps_alone(x, exact, explanations["gradient"].double().numpy()),
        "masks": of_masks(x, exact),
        "exchanges": of_exchanges(model, x, exact, job),
        "explanations": explanations,
        "maps": {"maps": maps},
    }
    cases = {
        case: {what: torch.as_tensor(np.asarray(value)) for what, value in values.items()} for case, values in found.items()
    }
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": stored(cases, store)}


if __name__ == "__main__":
    answer(run_model)
