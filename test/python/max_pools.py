"""Models of one max-pooling each, and what PyTorch makes of inputs with ties, NaN and infinities.

    python3 test/python/max_pools.py JOB.json OUT

JOB.json: {"pools": [[kernel, stride, padding, dilation, ceil_mode]], "cases": [{"shape": [N, C, H, W], "pool": its number,
"seed": int, "odd": bool}]}. `odd` inputs have NaN and infinities. OUT/POOL.pt and OUT/POOL.traced.pt are the models,
OUT/net.pt one with a convolution before the pooling. OUT/index.json: {"cases": [{"input", "output", "weight", "gradient"}]},
each a TENSOR: the gradient is that of (output * weight).sum() at the input.
"""

import json
import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

from tensors import Store


class Pool(nn.Module):
    def __init__(self, kernel, stride, padding, dilation, ceil_mode):
        super().__init__()
        self.pool = nn.MaxPool2d(kernel, stride or None, padding, dilation, ceil_mode=ceil_mode)

    def forward(self, x):
        return self.pool(x)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.features(x).mean((2, 3)))


def example(shape, seed, odd):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-3, 4, shape, generator=generator).float() / 2  # few values, so that many windows have ties
    if odd:
        draw = torch.rand(shape, generator=generator)
        x[draw < 0.05] = float("nan")
        x[(draw > 0.1) & (draw < 0.4)] = float("-inf")
        x[draw > 0.98] = float("inf")
    return x


def explained(pool, x, seed):
    leaf = x.clone().requires_grad_()
    output = F.max_pool2d(leaf, pool[0], pool[1] or None, *pool[2:4], ceil_mode=pool[4])
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(seed))
    output.backward(weight)
    return output.detach(), weight, leaf.grad


def main(job_file, folder):
    store = Store(folder)
    job = json.loads(Path(job_file).read_text())
    torch.manual_seed(0)
    torch.jit.script(Net().eval()).save(f"{folder}/net.pt")
    for i, pool in enumerate(job["pools"]):
        model = Pool(*pool).eval()
        torch.jit.script(model).save(f"{folder}/{i}.pt")
        torch.jit.trace(model, torch.zeros(1, 1, 16, 16)).save(f"{folder}/{i}.traced.pt")
    cases = []
    for case in job["cases"]:
        x = example(case["shape"], case["seed"], case["odd"])
        output, weight, gradient = explained(job["pools"][case["pool"]], x, case["seed"])
        values = {"input": x, "output": output, "weight": weight, "gradient": gradient}
        cases.append({name: store(value) for name, value in values.items()})
    (Path(folder) / "index.json").write_text(json.dumps({"cases": cases}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
