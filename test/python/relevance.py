"""Relevance derived again, of nets that zennit cannot be asked about: by the matrix of every affine part, column by column.

    python3 test/python/relevance.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "derive": bool, "export": bool}}}. Where nothing is to be derived the files and
the input are all there is. Nothing here is differentiated, and no rule is applied to a weight: batch norms are in the matrices as they are.
"""

import torch
import torch.nn.functional as F

import models
from job import answer
from relevance_bounds import HIGH, LOW


def stabilized(z, epsilon=1e-6):
    return z + torch.where(z >= 0, epsilon, -epsilon)


class Affine:
    """y = W x + b of a function of one image: W is [outputs, inputs], b differs by position."""

    def __init__(self, function, x):
        self.x = x.flatten()
        zero = torch.zeros_like(x)
        self.b = function(zero).flatten()
        units = torch.eye(x.numel(), dtype=x.dtype).view(-1, *x.shape[1:])
        self.w = (function(units).flatten(1) - self.b).T
        self.shape = x.shape

    def shares(self, contributions, constants, relevance):
        """Of contributions [outputs, inputs]: each output hands its relevance on in their proportion."""
        sums = stabilized(contributions.sum(1) + constants)
        return (contributions * (relevance.flatten() / sums).unsqueeze(1)).sum(0).view(self.shape)


def epsilon(part, relevance):
    return part.shares(part.w * part.x, part.b, relevance)


def z_plus(part, relevance):
    return part.shares((part.w * part.x).clamp(min=0), part.b.clamp(min=0), relevance)


def alpha2_beta1(part, relevance):
    negative = part.shares((part.w * part.x).clamp(max=0), part.b.clamp(max=0), relevance)
    return 2 * z_plus(part, relevance) - negative


def gamma(part, relevance, by=0.25):
    products, z = part.w * part.x, part.w @ part.x + part.b
    result = torch.zeros(part.shape, dtype=part.x.dtype)
    for sign in (1, -1):
        of_sign = ((sign * products).clamp(min=0) * sign, (sign * part.b).clamp(min=0) * sign)
        result += part.shares(
            products + by * of_sign[0], part.b + by * of_sign[1], relevance.flatten() * (sign * z > 0)
        )
    return result


def flat(part, relevance):
    """Weights that are there are ones, whatever they are."""
    return part.shares((part.w != 0).to(part.w.dtype), 0, relevance)


def z_box(part, relevance):
    def everywhere(bound):
        return torch.tensor(bound, dtype=part.x.dtype).view(1, 3, 1, 1).expand(part.shape).flatten()

    low, high = everywhere(LOW), everywhere(HIGH)
    contributions = part.w * part.x - part.w.clamp(min=0) * low - part.w.clamp(max=0) * high
    return part.shares(contributions, 0, relevance)


# Of the first layer, of convolutions, of linear layers.
COMPOSITES = {
    "epsilon": (epsilon, epsilon, epsilon),
    "epsilon-plus": (z_plus, z_plus, epsilon),
    "epsilon-plus-flat": (flat, z_plus, epsilon),
    "epsilon-alpha2-beta1": (alpha2_beta1, alpha2_beta1, epsilon),
    "epsilon-gamma-box": (z_box, gamma, epsilon),
}


def norm_first(net, x, target, first, convolution, linear):
    part1 = Affine(lambda x: net.conv1(net.norm1(x)), x)
    x = F.silu(net.conv1(net.norm1(x)))
    part2 = Affine(lambda x: net.conv2(net.norm2(x)), x)
    x = net.conv2(net.norm2(x))
    part3 = Affine(lambda x: net.norm3(net.up(x)), x)
    x = F.leaky_relu(net.norm3(net.up(x)), 0.1)
    part4 = Affine(lambda x: x.mean([2, 3]), x)
    x = x.mean([2, 3])
    part5 = Affine(lambda x: net.head(net.norm4(x)), x)
    logits = net.head(net.norm4(x))
    relevance = F.one_hot(torch.tensor([target]), 5) * logits
    relevance = epsilon(part4, linear(part5, relevance))
    return first(part1, convolution(part2, convolution(part3, relevance)))


def of_sum(z, relevance, *summands):
    return [summand * relevance / stabilized(z) for summand in summands]


def arithmetic(net, x, target, first, convolution, linear):
    doubled = 2 * x
    moved = doubled - 0.5
    a = net.conv1(moved)
    pooled = F.avg_pool2d(a, 2)
    b = net.conv2(pooled)

    def enlarge(x):
        return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)

    large = enlarge(b)
    half = 0.5 * large
    difference = a - half
    scaled = difference * net.scale
    third = scaled / 3
    clipped = third.clone()
    clipped[:, 1:3] = third[:, 1:3].clamp(min=0)
    total = clipped.sum([2, 3])
    mean = total / 320
    highest = clipped.amax([2, 3])
    features = mean + highest
    logits = net.head(features)

    relevance = linear(Affine(net.head, features), F.one_hot(torch.tensor([target]), 5) * logits)
    of_mean, of_highest = of_sum(features, relevance, mean, highest)
    (of_total,) = of_sum(mean, of_mean, mean)
    of_clipped = epsilon(Affine(lambda x: x.sum([2, 3]), clipped), of_total)
    winners = (clipped == highest[:, :, None, None]).to(x.dtype)
    of_clipped = of_clipped + winners * (of_highest / winners.sum([2, 3]))[:, :, None, None]
    (of_scaled,) = of_sum(third, of_clipped, third)
    (of_difference,) = of_sum(scaled, of_scaled, scaled)
    of_a, of_half = of_sum(difference, of_difference, a, -half)
    (of_large,) = of_sum(half, of_half, half)
    of_b = epsilon(Affine(enlarge, b), of_large)
    of_pooled = convolution(Affine(net.conv2, pooled), of_b)
    of_a = of_a + epsilon(Affine(lambda x: F.avg_pool2d(x, 2), a), of_pooled)
    of_moved = first(Affine(net.conv1, moved), of_a)
    (of_doubled,) = of_sum(moved, of_moved, doubled)
    return of_sum(doubled, of_doubled, doubled)[0]


DERIVATIONS = {"relevance_norm_first": norm_first, "relevance_arithmetic": arithmetic}


def files_of(name, job, model, x, folder):
    files = models.write_torchscript(name, model, x, folder)
    if job.get("export"):
        files["exported"] = f"{name}.pt2"
        torch.export.save(torch.export.export(model, (x.clone(),)), str(folder / files["exported"]))
    return files


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1)
    files = {"files": files_of(name, job, model, x, folder), "input": store(x)}
    with torch.no_grad():
        return {**files, "cases": {"derived": cases_of(name, job, model, x, store)}}


def cases_of(name, job, model, x, store):
    cases = {}
    if job.get("derive"):
        cases["scores"] = store(model(x)[range(len(x)), job["classes"]])
        for what, rules in COMPOSITES.items():
            if what == "epsilon-gamma-box" and name == "relevance_arithmetic":
                continue  # the bounds of the input are not those of its first layer
            parts = [DERIVATIONS[name](model, x[i : i + 1], c, *rules) for i, c in enumerate(job["classes"])]
            cases[what] = store(torch.cat(parts))
    return cases


if __name__ == "__main__":
    answer(run_model, exactly_too=False)  # it derives in float64
