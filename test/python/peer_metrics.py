"""What pytorch-grad-cam, Captum, SciPy and the formulas themselves say of maps: what the tests hold lib/metrics to.

    python3 test/python/peer_metrics.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...]}}}. Insertion, deletion, the paper's average drop and the pointing games are
derived here in float64 NumPy, pixel by pixel; everything else is the peer's own. The noise that the peers draw is replaced
by that of the seeds that this package draws from.
"""

import contextlib
import warnings

import numpy as np
import torch
from torch.nn import functional as F

import models
import peers
from job import answer
from reference import stored
from tensors import seeded

peers.pytorch_grad_cam()
attr = peers.captum_attr()
warnings.filterwarnings("ignore")

import captum.metrics  # noqa: E402
from pytorch_grad_cam.metrics import cam_mult_image, road  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget  # noqa: E402
from scipy.sparse import csc_matrix  # noqa: E402
from scipy.sparse.linalg import spsolve  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402

STEPS, SAMPLES, SIGMA, RADIUS, SEED, NOISE = 7, 6, 0.3, 0.05, 5, 0.25
BOXES = [[(3, 2, 6.5, 7)], [(0, 0, 5, 5), (10.2, 6.7, 8, 8)], [(12, 1, 4, 14)]]


def maps_of(x):
    """No two pixels alike, from 0 to 1 in each."""
    raw = seeded((x.shape[0], 1, *x.shape[2:]), 3, x.dtype, "rand")
    low, high = raw.amin((1, 2, 3), keepdim=True), raw.amax((1, 2, 3), keepdim=True)
    return (raw - low) / (high - low)


def probability(model, images, classes):
    with torch.no_grad():
        return model(images).softmax(1)[torch.arange(len(classes)), torch.tensor(classes)].double().numpy()


@contextlib.contextmanager
def drawn_noise(noise):
    """Removed pixels get the noise of their places in one image of noise, of this strength."""
    kind = road.NoisyLinearImputer
    impute, plain, usual = kind.__call__, torch.randn_like, kind.__init__.__defaults__

    def imputed_with(self, img, mask):
        field = seeded(img.shape, SEED, img.dtype)
        torch.randn_like = lambda _: field.reshape(img.shape[0], -1)[:, mask.reshape(-1) == 0].float()
        return impute(self, img.float(), mask).to(img.dtype)  # it takes float32 alone

    kind.__call__, kind.__init__.__defaults__ = imputed_with, (noise, *usual[1:])
    try:
        yield
    finally:
        kind.__call__, torch.randn_like, kind.__init__.__defaults__ = impute, plain, usual


def of_road(model, x, maps, classes):
    cams = maps[:, 0].numpy()
    found = {}
    for kind, target in {"probability": ClassifierOutputSoftmaxTarget, "logit": ClassifierOutputTarget}.items():
        targets = [target(c) for c in classes]
        for noise in (0, NOISE):
            with drawn_noise(noise):
                end = f"{kind} {noise}"
                found[f"morf {end}"] = road.ROADMostRelevantFirstAverage()(x, cams, targets, model)
                found[f"lerf {end}"] = road.ROADLeastRelevantFirstAverage()(x, cams, targets, model)
                found[f"combined {end}"] = road.ROADCombined()(x, cams, targets, model)
        # Most of it is 0, as a ReLU leaves it.
        flat = np.where(cams > 0.7, cams, 0).astype(cams.dtype)
        with drawn_noise(0):
            found[f"flat {kind}"] = road.ROADMostRelevantFirst(20)(x, flat, targets, model)
        found[f"drop {kind}"] = cam_mult_image.DropInConfidence()(x, cams, targets, model)
        found[f"increase {kind}"] = cam_mult_image.IncreaseInConfidence()(x, cams, targets, model)
    return {name: torch.from_numpy(np.asarray(value, np.float64)) for name, value in found.items()}


def imputed(height, width):
    """Images, masks of what is kept, and the system's solution: scattered, a large hole, one pixel left, a frame."""
    images = seeded((4, 5, height, width), 9, torch.float64)
    keep = seeded((4, height, width), 10, torch.float64, "rand") < 0.1
    keep[1] = True
    keep[1, 4 : height - 3, 2:] = False
    keep[2] = False
    keep[2, height // 2, width - 1] = True
    keep[3] = False
    keep[3, 0] = keep[3, :, 0] = keep[3, -1] = keep[3, :, -1] = True
    solved = images.clone()
    for image, mask in zip(solved, keep):
        a, b = road.NoisyLinearImputer.setup_sparse_system(mask.float().numpy(), image.numpy(), road.neighbors_weights)
        image[:, ~mask] = torch.from_numpy(spsolve(csc_matrix(a), b)).T
    return {"images": images, "keep": keep, "solved": solved}


def of_captum(model, x, maps, classes):
    target = torch.tensor(classes)
    count = x.shape[0]

    def score(images):
        rows = target.repeat_interleave(len(images) // count)
        return model(images).softmax(1).gather(1, rows[:, None])[:, 0]

    def drawn(kind):
        return torch.cat([seeded((1, *x.shape[1:]), SEED + s, x.dtype, kind) for s in range(SAMPLES)]).repeat(count, 1, 1, 1)

    def perturb(images):
        noise = drawn("randn") * SIGMA
        return noise, images - noise

    def move(images):
        return images + (2 * drawn("rand") - 1) * RADIUS

    wide = maps.expand_as(x).contiguous()
    saliency = attr.Saliency(model)
    gradient = saliency.attribute(x.clone(), target=target, abs=False)
    found = {}
    for name, maps_given in {"map": wide, "gradient": gradient}.items():
        for normalize in (False, True):
            found[f"infidelity {name} {normalize}"] = captum.metrics.infidelity(
                score, perturb, x, maps_given, n_perturb_samples=SAMPLES, normalize=normalize
            )
    found["sensitivity"] = captum.metrics.sensitivity_max(
        saliency.attribute, x, move, n_perturb_samples=SAMPLES, target=target, abs=False
    )
    found["gradient"] = gradient
    return {name: value.detach() for name, value in found.items()}


def blurred(image):
    """A Gaussian of deviation 5 over 11 x 11 pixels, the border continued, written out."""
    channels, height, width = image.shape
    steps = np.arange(-5, 6)
    weights = np.exp(-(steps[:, None] ** 2 + steps[None] ** 2) / 50)
    weights /= weights.sum()
    wide = np.pad(image, ((0, 0), (5, 5), (5, 5)), mode="edge")
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            result[:, y, x] = (wide[:, y : y + 11, x : x + 11] * weights).sum((1, 2))
    return result


def curve(model, image, ground, order, image_class, insert):
    scores = []
    for k in range(STEPS + 1):
        changed = (ground if insert else image).reshape(3, -1).copy()
        count = int(np.floor(k * len(order) / STEPS + 0.5))
        changed[:, order[:count]] = (image if insert else ground).reshape(3, -1)[:, order[:count]]
        scores.append(probability(model, torch.from_numpy(changed.reshape(1, *image.shape)), [image_class])[0])
    return np.array(scores)


def of_formulas(model, x, maps, classes):
    found = {"insertion": [], "deletion": [], "drop": [], "pointing": [], "tolerant": [], "energy": []}
    height, width = x.shape[2:]
    # Few values, so that many are equal: the order among them has to be that of the rows.
    coarse = torch.floor(maps * 8)
    for i, image_class in enumerate(classes):
        image, cam = x[i].numpy(), maps[i, 0].double().numpy()
        order = np.argsort(-coarse[i, 0].numpy().ravel(), kind="stable")
        for name, ground, insert in (("deletion", np.zeros_like(image), False), ("insertion", blurred(image), True)):
            scores = curve(model, image, ground, order, image_class, insert)
            found[name].append(np.trapezoid(scores, dx=1 / STEPS))
        whole = probability(model, x[i : i + 1], [image_class])[0]
        masked = probability(model, x[i : i + 1] * maps[i : i + 1], [image_class])[0]
        found["drop"].append(max(0, whole - masked) / whole)

        def inside(row, column, extra=0):
            return any(
                left - extra <= column + 0.5 <= left + w + extra and top - extra <= row + 0.5 <= top + h + extra
                for left, top, w, h in BOXES[i]
            )

        peak = divmod(int(cam.argmax()), width)
        found["pointing"].append(float(inside(*peak)))
        found["tolerant"].append(float(inside(*peak, 3)))
        mass = sum(cam[r, c] for r in range(height) for c in range(width) if inside(r, c))
        found["energy"].append(mass / cam.sum())
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in found.items()} | {"coarse": coarse}


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job.get("size"))
    maps, classes = maps_of(x), job["classes"]
    small = seeded((x.shape[0], 1, 4, 5), 4, x.dtype, "rand")
    ties = torch.floor(maps * 6)
    # They go with these in part only.
    other_maps = (maps + seeded(tuple(maps.shape), 8, maps.dtype, "rand")).numpy()
    cases = {
        "maps": {
            "maps": maps,
            "small": small,
            "large": F.interpolate(small, x.shape[2:], mode="bilinear", align_corners=False),
        },
        "pgc": of_road(model, x, maps, classes),
        "imputed": imputed(61, 47),
        "captum": of_captum(model, x, maps, classes),
        "formulas": of_formulas(model, x, maps, classes),
        "spearman": {
            "ties": ties,
            "rho": torch.tensor([spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(other_maps, ties.numpy())]),
            "other": torch.from_numpy(other_maps),
        },
    }
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": stored(cases, store)}


if __name__ == "__main__":
    answer(run_model)
