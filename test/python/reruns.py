"""Ablation-CAM and Score-CAM derived again in float64 NumPy, by running the model on one changed image at a time.

    python3 test/python/reruns.py JOB.json OUT

JOB.json: {"models": {NAME: {"layer", "target": {"kind", ...lists with an entry per image}, "part", "reshape"}}}. The models
are taken to float64. Maps are as the formula gives them, before max(., 0).
"""

import numpy as np
import torch

import models
from job import answer
from tensors import seeded


def run(model, layer, x, part=None, replace=None):
    """The output for one image, and what the layer returned at its last call; with replace(that) in its place."""
    returned = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _module, _inputs, a: returned.append(a.clone()))
    with torch.no_grad():
        output = model(x[None].clone())
    handle.remove()
    if replace is not None:
        calls = []

        def hook(_module, _inputs, a):
            calls.append(a)
            return replace(a.clone()) if len(calls) == len(returned) else a

        handle = model.get_submodule(layer).register_forward_hook(hook)
        with torch.no_grad():
            output = model(x[None].clone())
        handle.remove()
    rows = output if part is None else output[part]
    return rows[0].numpy(), returned[-1]


def tokens_to_places(a):
    return a[:, 1:].transpose(1, 2).reshape(1, -1, 4, 6)


def per_channel(weights, a):
    return sum(w * channel for w, channel in zip(weights, a))


def ablation_cam(model, layer, x, score, part=None, reshape=None):
    y, raw = run(model, layer, x, part)
    a = (reshape(raw) if reshape else raw)[0].numpy()

    def without(k):
        def zero(value):
            value[(0, slice(None), k) if reshape else (0, k)] = 0
            return value

        return zero

    scores = [score(run(model, layer, x, part, without(k))[0]) for k in range(len(a))]
    return per_channel([(score(y) - s) / score(y) for s in scores], a)


def enlarged(channel, size):
    """Corners on corners, one axis after the other."""
    for axis, length in enumerate(size):
        at = np.linspace(0, channel.shape[axis] - 1, length)
        known = np.arange(channel.shape[axis])
        channel = np.apply_along_axis(lambda line: np.interp(at, known, line), axis, channel)
    return channel


def score_cam(model, layer, x, score, part=None, reshape=None, versions=(lambda mask: mask,)):
    raw = run(model, layer, x, part)[1]
    a = (reshape(raw) if reshape else raw)[0].numpy()
    scores = []
    for channel in a:
        mask = enlarged(channel, x.shape[1:])
        mask = (mask - mask.min()) / (mask.max() - mask.min() + 1e-8)
        masked = [run(model, layer, x * torch.from_numpy(version(mask)), part)[0] for version in versions]
        scores.append(np.mean([score(y) for y in masked]))
    powers = np.exp(np.array(scores) - max(scores))
    return per_channel(powers / powers.sum(), a)


def ss_cam(model, layer, x, score, part=None, reshape=None):
    """Ten samples of noise of deviation 2, which all channels share."""
    drawn = [2 * seeded(x.shape[1:], i, torch.float64).numpy() for i in range(10)]
    return score_cam(model, layer, x, score, part, reshape, [lambda mask, d=d: mask + d for d in drawn])


def is_cam(model, layer, x, score, part=None, reshape=None):
    strengths = np.cumsum(np.arange(1, 11) / 10)
    return score_cam(model, layer, x, score, part, reshape, [lambda mask, c=c: c * mask for c in strengths])


FORMULAS = {"ablationcam": ablation_cam, "scorecam": score_cam, "sscam": ss_cam, "iscam": is_cam}


def maps_of(model, layer, x, scores, part=None, reshape=None, methods=("ablationcam", "scorecam")):
    formulas = {method: FORMULAS[method] for method in methods}
    return {
        method: np.stack([formula(model, layer, xi, s, part, reshape) for xi, s in zip(x, scores)])
        for method, formula in formulas.items()
    }


def softmax(y):
    powers = np.exp(y - y.max())
    return powers / powers.sum()


def finer(y, t, others):
    p = softmax(y)
    return sum(p[c] * (y[t] - y[c]) for c in others) / (sum(p[c] for c in others) + 1e-9)


def score_of(kind, y, i, target):
    """The score of image i as a function of an output, given its output y as it is: what is chosen is chosen there."""
    t = target["class"][i] if "class" in target else int(np.argmax(y))
    if kind == "class":
        return lambda changed: changed[t]
    if kind == "single":
        return lambda changed: changed
    if kind == "probability":
        return lambda changed: softmax(changed)[t]
    if kind == "difference":
        return lambda changed: changed[t] - changed[target["minus"][i]]
    if kind == "segmentation":
        mask = np.array(target["mask"][i])
        return lambda changed: (changed[t] * mask).sum()
    nearest = sorted((c for c in range(len(y)) if c != t), key=lambda c: abs(y[c] - y[t]))[:3]
    return lambda changed: finer(changed, t, nearest)


def run_model(name, job, folder, store):
    net = job["net"]
    model = models.build(net, 0).double()
    x = models.example(net, 1, job.get("size")).double()
    layer, target, part = job["layer"], job["target"], job.get("part")
    reshape = tokens_to_places if job.get("reshape") else None
    outputs = [run(model, layer, xi, part)[0] for xi in x]
    scores = [score_of(target["kind"], y, i, target) for i, y in enumerate(outputs)]
    maps = maps_of(model, layer, x, scores, part, reshape)
    stored = {method: store(torch.from_numpy(m).unsqueeze(1)) for method, m in maps.items()}
    (folder / name).mkdir()
    files = models.write_torchscript(net, model, x, folder / name)
    files = {kind: f"{name}/{file}" for kind, file in files.items()}
    return {"files": files, "input": store(x), "cases": {"maps": stored}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)  # it derives in float64
