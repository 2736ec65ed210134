"""RISE, derived again in NumPy and float64 from arXiv:1806.07421.

    python3 test/python/rise.py JOB.json OUT

JOB.json: {"models": {NAME: {"size": [N, C, H, W], "classes": [...], "grid": s, "probability": p, "masks": base64 of
float32 [count, H, W]}}}. NAME is one of models.py, or "linear", a sum of weighted pixels, for which the expectation of the
map is known.
"""

import base64

import numpy as np
import torch
from torch import nn

import models
from job import answer
from reference import stored
from tensors import seeded


def enlarging(cells, size):
    """The matrix that enlarges one direction bilinearly, pixel centres at half coordinates, clamped at the border."""
    place = np.clip((np.arange(size) + 0.5) * cells / size - 0.5, 0, cells - 1)
    low = np.minimum(np.floor(place).astype(int), cells - 1)
    matrix = np.zeros((size, cells))
    for row, (at, cell) in enumerate(zip(place, low)):
        matrix[row, cell] += 1 - (at - cell)
        matrix[row, min(cell + 1, cells - 1)] += at - cell
    return matrix


def crops(length, grid):
    """For each shift, the matrix from cells to the pixels of one direction."""
    cell = -(-length // grid)
    whole = enlarging(grid, (grid + 1) * cell)
    return [whole[shift : shift + length] for shift in range(cell)]


def cells_of(mask, grid):
    """The cells that a mask was made of, and by how much it differs from what they make, at the best of all shifts."""
    best = (None, np.inf)
    for rows in crops(mask.shape[0], grid):
        for columns in crops(mask.shape[1], grid):
            found = np.linalg.pinv(rows) @ mask @ np.linalg.pinv(columns).T
            binary = np.round(found).clip(0, 1)
            # A cell that the crop does not touch is free: any value makes the same mask.
            error = np.abs(rows @ binary @ columns.T - mask).max()
            if error < best[1]:
                best = (binary, error)
    return best


def saliency(model, x, classes, masks, probability):
    """Equation 6: the sum of score times mask over N E[mask]."""
    total = np.zeros((len(x), *masks.shape[1:]))
    with torch.no_grad():
        for mask in masks:
            logits = model(x * torch.from_numpy(mask).to(x.dtype)).double().numpy()
            if logits.shape[1] == 1:
                scores = logits[:, 0]
            else:
                powers = np.exp(logits - logits.max(1, keepdims=True))
                scores = (powers / powers.sum(1, keepdims=True))[np.arange(len(x)), classes]
            total += scores[:, None, None] * mask
    return total / (len(masks) * probability)


def linear_expectation(model, x, grid, probability):
    """
    With cells that are 1 with probability p, E[m(a) m(b)] = p^2 + p (1 - p) sum_cells K(cell, a) K(cell, b), where K is the
    enlarging; it separates into the two directions, averaged over shifts. The rows of K sum to 1.
    """
    height, width = x.shape[2:]
    along = [np.mean([m @ m.T for m in crops(length, grid)], 0) for length in (height, width)]
    second = probability**2 + probability * (1 - probability) * np.kron(*along)
    weighted = (model[1].weight.detach().double().numpy() * x.double().numpy().reshape(len(x), -1)).reshape(
        len(x), x.shape[1], -1
    )
    return (weighted.sum(1) @ second / probability).reshape(len(x), height, width)


def run_model(name, job, folder, store):
    size, grid, probability = job["size"], job["grid"], job["probability"]
    masks = np.frombuffer(base64.b64decode(job["masks"]), "<f4").reshape(-1, *size[2:]).astype(np.float64)
    cases = {}
    if name == "linear":
        x = seeded(size, 3, torch.float64).abs() + 0.5
        torch.manual_seed(4)
        model = nn.Sequential(nn.Flatten(), nn.Linear(x[0].numel(), 1, bias=False).double()).eval()
        nn.init.uniform_(model[1].weight)
        cases["expectation"] = torch.from_numpy(linear_expectation(model, x, grid, probability))
        torch.jit.script(model).save(str(folder / "linear.scripted.pt"))
        files = {"scripted": "linear.scripted.pt"}
    else:
        model, x = models.build(name, 0), models.example(name, 1, size)
        files = models.write_torchscript(name, model, x, folder)
    cases["rise"] = torch.from_numpy(saliency(model, x, job["classes"], masks, probability))
    found = [cells_of(mask, grid) for mask in masks[: job["inspect"]]]
    cases["cells"] = torch.from_numpy(np.stack([cells for cells, _ in found]))
    cases["error"] = float(max(error for _, error in found))
    return {"files": files, "input": store(x), "cases": {"rise": stored(cases, store)}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)  # it derives in float64
