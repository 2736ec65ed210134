"""Each method's formula derived again from its paper, in float64 NumPy, one image at a time.

    python3 test/python/formulas.py JOB.json OUT

JOB.json: {"models": {NAME: {"layer": ..., "classes": [...]}}}. PyTorch gives activations A and gradients G of a layer; all
else is written out here, in other words than native/core/methods. Maps are as the formula gives them, before max(., 0).
"""

import numpy as np
import torch

import models
import reruns
from job import answer
from tensors import seeded


def observe(model, layer, x, classes, stretch=1.0):
    """A (stretched), and the gradient there of the sum of each image's score."""
    kept = []

    def stretched(_module, _inputs, output):
        kept.append((output * stretch).detach().requires_grad_())
        return kept[0].clone()

    handle = model.get_submodule(layer).register_forward_hook(stretched)
    logits = model(x.clone())
    score = sum(logits[i, c] for i, c in enumerate(classes))
    handle.remove()
    return kept[0].detach().numpy(), torch.autograd.grad(score, kept[0])[0].numpy(), logits.detach().numpy()


def observe_at(model, layer, x, classes, value):
    """The gradient of the sum of each image's score where the layer returns `value`."""
    given = torch.from_numpy(value).requires_grad_()
    handle = model.get_submodule(layer).register_forward_hook(lambda *_: given.clone())
    logits = model(x.clone())
    handle.remove()
    return torch.autograd.grad(sum(logits[i, c] for i, c in enumerate(classes)), given)[0].numpy()


def secant(f, z, z0):
    """f(z) as a multiple of z, by the slope between z0 and z: what DeepLIFT's rescale rule takes for the derivative."""
    return z * ((f(z) - f(z0)) / (z - z0)).detach()


def deeplift_gradient(name, model, layer, x, classes, a, a0):
    """Where only linear operators follow the layer, the plain gradient; `curved` written out with secants."""
    if name != "curved":
        return observe_at(model, layer, x, classes, a)
    at, at0 = torch.from_numpy(a).requires_grad_(), torch.from_numpy(a0)
    z, z0 = model.mix(at), model.mix(at0).detach()
    mean = lambda t: 2 * t.mean((2, 3))
    u, u0 = mean(torch.tanh(z)).detach(), mean(torch.tanh(z0))
    squared = mean(secant(torch.tanh, z, z0)) * (u**2 - u0**2) / (u - u0)
    logits = model.head(squared)
    return torch.autograd.grad(sum(logits[i, c] for i, c in enumerate(classes)), at)[0].numpy()


def per_channel(weights, a):
    return sum(w * channel for w, channel in zip(weights, a))


def grad_cam(a, g):
    return per_channel([channel.sum() / channel.size for channel in g], a)


def hires_cam(a, g):
    return sum(ak * gk for ak, gk in zip(a, g))


def elementwise(a, g):
    return sum(np.where(ak * gk > 0, ak * gk, 0) for ak, gk in zip(a, g))


def grad_cam_plus_plus(a, g):
    """Equation 19 position by position, and equation 5 for the weights."""
    weights = []
    for ak, gk in zip(a, g):
        total = 0.0
        for position in np.ndindex(gk.shape):
            d = gk[position]
            if d > 0:
                total += d**2 / (2 * d**2 + ak.sum() * d**3 + 1e-6) * d
        weights.append(total)
    return per_channel(weights, a)


def xgrad_cam(a, g):
    return per_channel([(ak * gk).sum() / (ak.sum() + 1e-7) for ak, gk in zip(a, g)], a)


def layer_cam(a, g):
    return sum(np.where(gk > 0, gk, 0) * ak for ak, gk in zip(a, g))


def principal(x, guide):
    """X v by a full SVD of the table of spatial positions by channels; positively correlated with the guide."""
    table = x.reshape(len(x), -1).T
    table = table - table.mean(axis=0)
    projection = table @ np.linalg.svd(table)[2][0]
    if np.corrcoef(projection, guide.ravel())[0, 1] < 0:
        projection = -projection
    return projection.reshape(x.shape[1:])


def eigen_cam(a, _g):
    return principal(a, np.abs(a).sum(axis=0))


def eigen_grad_cam(a, g):
    return principal(a * g, hires_cam(a, g))


def smooth_grad_cam(a, g):
    return principal(a * g.mean(axis=(1, 2), keepdims=True), grad_cam(a, g))


def kpca_cam(a, _g):
    table = a.reshape(len(a), -1).T
    table = table - table.mean(axis=0)
    positions = len(table)
    kernel = np.array([[np.tanh(table[i] @ table[j] / len(a) + 1) for j in range(positions)] for i in range(positions)])
    centring = np.eye(positions) - np.full((positions, positions), 1 / positions)
    values, vectors = np.linalg.eigh(centring @ kernel @ centring)
    first = vectors[:, np.argmax(values)] * np.sqrt(values.max())
    return (first * np.sign(first[np.argmax(np.abs(first))])).reshape(a.shape[1:])


def fem(a, _g):
    weights = []
    for channel in a:
        mean = channel.sum() / channel.size
        deviation = np.sqrt(((channel - mean) ** 2).sum() / channel.size)
        weights.append((channel > mean + 2 * deviation).sum() / channel.size)
    return per_channel(weights, a)


def seg_eigen_cam(a, g):
    """The element of the projection that is largest in magnitude is positive."""
    weighted = np.abs(g) * a
    projection = principal(weighted, weighted.sum(axis=0))
    return projection * np.sign(projection.flat[np.argmax(np.abs(projection))])


def layer_activation(a, _g):
    return np.add.reduce(list(a))


METHODS = {
    "gradcam": grad_cam,
    "hirescam": hires_cam,
    "layer-gradient-x-activation": hires_cam,
    "gradcam-elementwise": elementwise,
    "gradcam++": grad_cam_plus_plus,
    "xgradcam": xgrad_cam,
    "layercam": layer_cam,
    "eigencam": eigen_cam,
    "eigengradcam": eigen_grad_cam,
    "kpcacam": kpca_cam,
    "fem": fem,
    "segeigencam": seg_eigen_cam,
    "layer-activation": layer_activation,
    "smooth": smooth_grad_cam,
}


def smooth_grad_cam_plus_plus(a, gradients):
    """Position by position, with the means over the gradients of noisy copies."""
    weights = []
    for ak, *noisy in zip(a, *gradients):
        first, second, third = ([g**power for g in noisy] for power in (1, 2, 3))
        first, second, third = (sum(terms) / len(noisy) for terms in (first, second, third))
        cubes = sum(ak[position] * third[position] for position in np.ndindex(ak.shape))
        weights.append(
            sum(
                second[p] / (2 * second[p] + cubes + 1e-8) * max(first[p], 0.0) for p in np.ndindex(ak.shape)
            )
        )
    return per_channel(weights, a)


def elsewhere(name, model, layer, x, classes, a):
    """What methods show that differentiate the model at noisy copies, or on the line from zeros, with their defaults."""
    noisy = [observe(model, layer, x + 0.3 * seeded(x[:1].shape, i, x.dtype), classes)[1] for i in range(4)]
    smooth = [smooth_grad_cam_plus_plus(a[i], [g[i] for g in noisy]) for i in range(len(a))]
    points, weights = np.polynomial.legendre.leggauss(50)
    influence = sum(
        w / 2 * observe(model, layer, (p + 1) / 2 * x, classes)[1].sum(axis=1) for p, w in zip(points, weights)
    )
    ends = [observe(model, layer, (p + 1) / 2 * x, classes)[:2] for p in np.polynomial.legendre.leggauss(51)[0]]
    conductance = sum((g * (after - before)).sum(axis=1) for (before, g), (after, _) in zip(ends, ends[1:]))
    a0 = observe(model, layer, torch.zeros_like(x), classes)[0]
    between = [a0 + (p + 1) / 2 * (a - a0) for p in points]
    integral = sum(w / 2 * observe_at(model, layer, x, classes, value) for w, value in zip(weights, between))
    return {
        "layer-integrated-gradients": ((a - a0) * integral).sum(axis=1),
        "layer-deeplift": ((a - a0) * deeplift_gradient(name, model, layer, x, classes, a, a0)).sum(axis=1),
        "smoothgradcam++": np.stack(smooth),
        "internal-influence": influence,
        "layer-conductance": conductance,
    }


def shapley_cam(model, layer, x, classes, a, g):
    """H A as the central difference of G between A stretched and A shrunk a little."""
    step = 1e-5
    above, below = (observe(model, layer, x, classes, 1 + sign * step)[1] for sign in (1, -1))
    weights = (g - (above - below) / (2 * step) / 2).mean(axis=(2, 3))
    return np.stack([per_channel(w, image) for w, image in zip(weights, a)])


def softmax(y):
    powers = np.exp(y - y.max())
    return powers / powers.sum()


def finer(y, t, others, alpha):
    p = softmax(y)
    return sum(p[c] * (y[t] - alpha * y[c]) for c in others) / (sum(p[c] for c in others) + 1e-9)


def scores(logits, classes):
    """By kind of target, each image's score."""
    nearest = [sorted((c for c in range(len(y)) if c != t), key=lambda c: abs(y[c] - y[t])) for y, t in zip(logits, classes)]
    pairs = list(zip(logits, classes))
    return {
        "class": [y[t] for y, t in pairs],
        "argmax": [max(y) for y in logits],
        "probability": [softmax(y)[t] for y, t in pairs],
        "difference": [y[t] - y[4] for y, t in pairs],
        "negative": [-y[2] for y in logits],
        "finer": [finer(y, t, near[:3], 1) for (y, t), near in zip(pairs, nearest)],
        "finer_two": [finer(y, t, near[:2], 0.5) for (y, t), near in zip(pairs, nearest)],
        "finer_against": [finer(y, t, [3, 4], 1) for y, t in pairs],
    }


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, (3, 3, 16, 20))
    layer, classes = job["layer"], job["classes"]
    a, g, logits = observe(model, layer, x, classes)
    cases = {m: np.stack([formula(ai, gi) for ai, gi in zip(a, g)]) for m, formula in METHODS.items()}
    cases |= elsewhere(name, model, layer, x, classes, a)
    cases["shapleycam"] = shapley_cam(model, layer, x, classes, a, g)
    chosen = [lambda y, t=t: y[t] for t in classes]
    cases |= reruns.maps_of(model, layer, x, chosen, methods=reruns.FORMULAS)
    if name == "pooled_linear":
        cases["cam"] = np.stack([per_channel(model.head.weight[c].tolist(), ai) for ai, c in zip(a, classes)])
    tensors = {m: store(torch.from_numpy(np.ascontiguousarray(v)).unsqueeze(1)) for m, v in cases.items()}
    targets = {k: store(torch.tensor(v, dtype=torch.float64)) for k, v in scores(logits, classes).items()}
    files = models.write_torchscript(name, model, x, folder)
    return {"files": files, "input": store(x), "cases": {"maps": tensors, "scores": targets}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)  # it derives in float64
