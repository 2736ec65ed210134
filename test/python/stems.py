"""Convolutions by which images enter a net, as TorchScript files, and the gradients at their inputs in float64.

    python3 test/python/stems.py JOB.json OUT

JOB.json: {"cases": [{"input": [N, C, H, W], "outputs": int, "kernel", "stride", "padding", "dilation": [y, x], "groups":
int}]}. OUT/index.json: {"cases": [{"file", "input", "gradient"}]}; the score is a weighted sum of all that the convolution
returns.
"""

import json
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from tensors import Store, seeded


class Stem(nn.Module):
    def __init__(self, case: dict) -> None:
        super().__init__()
        options = {name: case[name] for name in ("stride", "padding", "dilation", "groups")}
        self.conv = nn.Conv2d(case["input"][1], case["outputs"], case["kernel"], **options)
        places = self.conv(torch.zeros(1, *case["input"][1:])).shape[1:]
        self.register_buffer("weights", seeded(tuple(places), 3))

    def forward(self, x: Tensor) -> Tensor:
        return (self.conv(x) * self.weights).sum((1, 2, 3))[:, None]


def main(job_file, folder):
    store = Store(folder)
    cases = []
    for number, case in enumerate(json.loads(Path(job_file).read_text())["cases"]):
        torch.manual_seed(number)
        model, x = Stem(case).eval(), seeded(tuple(case["input"]), 4)
        torch.jit.script(model).save(str(Path(folder) / f"stem{number}.pt"))
        exact = x.double().requires_grad_()
        model.double()(exact).sum().backward()
        cases.append({"file": f"stem{number}.pt", "input": store(x), "gradient": store(exact.grad)})
    (Path(folder) / "index.json").write_text(json.dumps({"cases": cases}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
