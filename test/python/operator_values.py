"""What PyTorch in Python computes for a list of expressions, and their gradients.

    python3 test/python/operator_values.py JOB.json OUT

JOB.json: {"cases": {NAME: expression}}. An expression is Python, over the tensors of `inputs` below, torch and F; its
value is a tensor or several. OUT/index.json: {"inputs": {NAME: TENSOR}, "cases": {NAME: {"outputs": [TENSOR, ...],
"gradients": {INPUT: TENSOR}}}}. The gradients are those of the sum of the squares of all outputs that have a graph; an
input that no gradient reaches is left out.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from tensors import Store, seeded


def inputs():
    """float `a` [2, 3, 4], `b` like it, `p` positive like it, `row` [4], `image` [2, 3, 6, 8]; int64 `n` and `index`."""
    generator = torch.Generator().manual_seed(7)
    floats = {
        "a": seeded((2, 3, 4), 1) * 2,
        "b": seeded((2, 3, 4), 2) * 2,
        "p": seeded((2, 3, 4), 3, kind="rand") + 0.25,
        "row": seeded((4,), 4) * 2,
        "image": seeded((2, 3, 6, 8), 5),
        "square": seeded((4, 4), 6),
        "odd": torch.tensor([0.5, -0.0, 1.5, float("nan"), float("inf"), float("-inf"), 2.5, -2.5]),
    }
    others = {
        "n": torch.randint(-5, 6, (2, 3, 4), generator=generator),
        "index": torch.randint(0, 3, (2, 2, 4), generator=generator),
        "mask": floats["a"] > 0,
        "other_mask": floats["b"] > 0,
    }
    return floats, others


def tensors_of(value):
    return [value] if isinstance(value, torch.Tensor) else [tensor for part in value for tensor in tensors_of(part)]


def storable(tensor):
    """Half-precision dtypes have no array in Node; every float16 and bfloat16 is a float32."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def run(expression, store):
    floats, others = inputs()
    for tensor in floats.values():
        tensor.requires_grad_()
    outputs = tensors_of(eval(expression, {"torch": torch, "F": F, **floats, **others}))
    differentiable = [output for output in outputs if output.requires_grad]
    if differentiable:
        sum((output * output).sum() for output in differentiable).backward()
    gradients = {name: store(tensor.grad) for name, tensor in floats.items() if tensor.grad is not None}
    return {"outputs": [store(storable(output)) for output in outputs], "gradients": gradients}


def main(job_file, folder):
    job = json.loads(Path(job_file).read_text())
    store = Store(folder)
    floats, others = inputs()
    index = {
        "inputs": {name: store(tensor) for name, tensor in {**floats, **others}.items()},
        "cases": {name: run(expression, store) for name, expression in job["cases"].items()},
    }
    (Path(folder) / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
