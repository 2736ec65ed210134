"""What LIME, KernelSHAP and Shapley value sampling make of versions of images that this package draws.

    python3 test/python/peer_coalitions.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes", "size", "lime", "kernel", "orders"}}}: for a number of features, which of them are present
in each version (rows of 0 and 1), and orders in which they are added. Derived in float64: LIME by scikit-learn's Ridge, KernelSHAP
by Lagrange's multiplier, exact Shapley values by all subsets. Captum gives float32 back and stands for its constraint by a weight
of a million.
"""

import itertools
import math
import warnings

import numpy as np
import torch
from captum._utils.models.linear_model import SkLearnRidge
from sklearn.linear_model import Ridge

import models
import peers
from job import answer
from reference import stored

attr = peers.captum_attr()
warnings.filterwarnings("ignore")

BASELINE, WIDTH = 0.25, 0.25


def blocks(shape, rows, columns):
    """A number for each block of an image [1, 1, H, W], some skipped, and one block in two parts."""
    height, width = shape[2:]
    y, x = torch.arange(height).reshape(-1, 1), torch.arange(width).reshape(1, -1)
    numbers = (y // rows) * 7 + x // columns - 3
    numbers[0, 0] = numbers[-1, -1]
    return numbers[None, None]


def numbered(mask):
    return torch.unique(mask, return_inverse=True)[1]


class Game:
    """The score of one image of which some features are present."""

    def __init__(self, model, image, mask, target):
        self.model, self.image, self.index, self.target = model, image, numbered(mask), target
        self.features = int(self.index.max()) + 1
        self.known = {}

    def __call__(self, z):
        key = tuple(int(one) for one in z)
        if key not in self.known:
            present = torch.tensor(key, dtype=torch.bool)[self.index]
            changed = torch.where(present, self.image, torch.full_like(self.image, BASELINE))
            with torch.no_grad():
                self.known[key] = self.model(changed[None])[0, self.target].item()
        return self.known[key]

    def spread(self, values):
        return torch.tensor(values, dtype=torch.float64)[self.index].expand_as(self.image)


def lime_weight(z):
    distance = 1 - z @ np.ones(len(z)) / (np.sqrt(z @ z) * math.sqrt(len(z))) if z.any() else 1.0
    return math.sqrt(math.exp(-(distance**2) / WIDTH**2))


def lime(game, rows):
    z = np.array(rows, dtype=np.float64)
    y = np.array([game(row) for row in rows])
    return Ridge(alpha=1.0).fit(z, y, sample_weight=[lime_weight(row) for row in z]).coef_


def kernel_shap(game, rows):
    """The minimum of the weighted squares under the constraint, by the equations of Lagrange."""
    m = game.features
    z = np.array(rows, dtype=np.float64)
    base, full = game([0] * m), game([1] * m)
    y = np.array([game(row) for row in rows]) - base
    system = np.block([[z.T @ z, np.ones((m, 1))], [np.ones((1, m)), np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(z.T @ y, full - base))[:m]


def shapley_sampling(game, orders):
    values = np.zeros(game.features)
    for order in orders:
        for step, j in enumerate(order):
            before, after = set(order[:step]), set(order[: step + 1])
            scores = [game([int(i in present) for i in range(game.features)]) for present in (before, after)]
            values[j] += (scores[1] - scores[0]) / len(orders)
    return values


def shapley_values(game):
    m = game.features
    values = np.zeros(m)
    for size in range(m):
        weight = math.factorial(size) * math.factorial(m - size - 1) / math.factorial(m)
        for subset in itertools.combinations(range(m), size):
            z = [int(j in subset) for j in range(m)]
            for j in set(range(m)) - set(subset):
                values[j] += weight * (game(z[:j] + [1] + z[j + 1 :]) - game(z))
    return values


def by_captum(model, image, mask, target, job):
    """Captum's classes, told what to draw."""
    game = Game(model, image, mask, target)
    lime_rows, kernel_rows = job["lime"], job["kernel"]

    def drawn(rows):
        def generator(_original, **_options):
            for row in rows:
                yield torch.tensor([row])

        return generator

    given = dict(baselines=BASELINE, feature_mask=game.index[None].expand(1, *image.shape).contiguous(), target=target)
    weigh = lambda _original, _changed, z, **_options: torch.tensor([lime_weight(z[0].numpy().astype(np.float64))])
    fitted = attr.Lime(model, SkLearnRidge(alpha=1.0), similarity_func=weigh, perturb_func=drawn(lime_rows))
    found = {"captum lime": fitted.attribute(image[None], n_samples=len(lime_rows), **given)}
    shap = attr.KernelShap(model)
    ends = [[1] * game.features, [0] * game.features]
    shap.perturb_func = drawn(ends + kernel_rows)
    found["captum kernel-shap"] = shap.attribute(image[None], n_samples=2 + len(kernel_rows), **given)
    sampling = attr.ShapleyValueSampling(model)
    sampling.permutation_generator = lambda _features, _samples: iter(job["orders"])
    found["captum shapley-sampling"] = sampling.attribute(image[None], n_samples=len(job["orders"]), **given)
    return found


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job["size"])
    many, few = blocks(x.shape, 5, 4), blocks(x.shape, 6, 7)
    own = torch.cat([many, many.flip(3), blocks(x.shape, 4, 5)])
    cases = {"features": many, "few": few, "own": own}
    each = {}
    for image, mask, target in zip(x, own, job["classes"]):
        shared, alone, small = (Game(model, image, m, target) for m in (many[0], mask, few[0]))
        rows = {m: job["by count"][str(m)] for m in (shared.features, alone.features)}
        found = {
            "lime": shared.spread(lime(shared, rows[shared.features]["lime"])),
            "own lime": alone.spread(lime(alone, rows[alone.features]["lime"])),
            "kernel-shap": shared.spread(kernel_shap(shared, rows[shared.features]["kernel"])),
            "own kernel-shap": alone.spread(kernel_shap(alone, rows[alone.features]["kernel"])),
            "shapley-sampling": shared.spread(shapley_sampling(shared, rows[shared.features]["orders"])),
            "shapley": small.spread(shapley_values(small)),
        }
        found |= {key: value[0] for key, value in by_captum(model, image, many[0], target, rows[shared.features]).items()}
        for key, value in found.items():
            each.setdefault(key, []).append(value)
    cases |= {key: torch.stack(value) for key, value in each.items()}
    return {
        "files": models.write_torchscript(name, model, x, folder),
        "input": store(x),
        "cases": {"captum": stored(cases, store)},
    }


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
