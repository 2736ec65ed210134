"""DeepLIFT's rescale rule derived again in float64 NumPy, one image at a time: a matrix M for each stage of a chain, with
M dx = dy exactly, so that their product is the multiplier of the whole. Nothing here is differentiated.

    python3 test/python/rescale.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "derive": bool, "refused": bool}}}. Where nothing is to be derived the files
and the input are all there is.
"""

import numpy as np
import torch
from torch import nn

import models
from job import answer
from tensors import seeded


def columns_of(stage, like):
    """The matrix of an affine stage, column by column."""
    zero = stage(torch.zeros_like(like)).flatten()
    columns = []
    for i in range(like.numel()):
        unit = torch.zeros(like.numel(), dtype=like.dtype)
        unit[i] = 1
        columns.append((stage(unit.view(like.shape)).flatten() - zero).numpy())
    return np.stack(columns, 1)


def diagonal(x, x0, y, y0):
    dx, dy = (x - x0).flatten().numpy(), (y - y0).flatten().numpy()
    assert np.abs(dx).min() > 1e-8, "the example has no element that stays as it is"
    return np.diag(dy / dx)


def windows(size, kernel, stride, padding):
    for start in range(-padding, size + padding - kernel + 1, stride):
        yield range(max(start, 0), min(start + kernel, size))


def max_pool(stage, x, x0):
    """A window's change goes up to the greater of both maxima where x has its own, and from there where x0 has its own."""
    _, channels, height, width = x.shape
    dx = (x - x0)[0].numpy()
    x, x0 = x[0].numpy(), x0[0].numpy()
    at = np.arange(x.size).reshape(x.shape)
    rows = []
    for c in range(channels):
        for ys in windows(height, stage.kernel_size, stage.stride, stage.padding):
            for xs in windows(width, stage.kernel_size, stage.stride, stage.padding):
                places = [(c, i, j) for i in ys for j in xs]
                here, there = max(places, key=lambda p: x[p]), max(places, key=lambda p: x0[p])
                most = max(x[here], x0[there])
                row = np.zeros(x.size)
                row[at[here]] += (most - x0[there]) / dx[here]
                row[at[there]] += (x[here] - most) / dx[there]
                rows.append(row)
    return np.stack(rows)


AFFINE = (nn.Conv2d, nn.BatchNorm2d, nn.AvgPool2d, nn.Flatten, nn.Linear)


def attribution(model, x, x0, target):
    whole = np.eye(x.numel())
    start = (x - x0).flatten().numpy()
    for stage in model.stages:
        y, y0 = stage(x), stage(x0)
        if isinstance(stage, AFFINE):
            step = columns_of(stage, x)
        elif isinstance(stage, nn.MaxPool2d):
            step = max_pool(stage, x, x0)
        else:
            step = diagonal(x, x0, y, y0)
        whole = step @ whole
        x, x0 = y, y0
    return torch.from_numpy(whole[target] * start)


@torch.no_grad()
def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1)
    baseline = seeded(x.shape, 2, x.dtype) / 4
    files = {"files": models.write_torchscript(name, model, x, folder), "input": store(x)}
    cases = {"baseline": store(baseline)}
    if job.get("derive"):
        parts = [attribution(model, x[i : i + 1], baseline[i : i + 1], t) for i, t in enumerate(job["classes"])]
        cases["attribution"] = store(torch.stack(parts).view(x.shape))
        cases["scores"] = store(torch.stack([model(x)[i, t] for i, t in enumerate(job["classes"])]))
        cases["at baseline"] = store(torch.stack([model(baseline)[i, t] for i, t in enumerate(job["classes"])]))
    return {**files, "cases": {"derived": cases}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)  # it derives in float64
