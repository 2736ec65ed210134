"""What PyTorch's max-pooling makes of inputs with ties, NaN and infinities.

    python3 test/python/max_pools.py JOB.json OUT

JOB.json: {"cases": [{"shape": [N, C, H, W], "arguments": [kernel, stride, padding, dilation, ceil_mode], "seed": int, "odd":
bool}]}. `odd` ones have NaN and infinities. OUT/index.json: {"cases": [{"input", "output", "indices"}]}, each a TENSOR.
"""

import json
import sys
from pathlib import Path

import torch

from tensors import Store


def example(shape, seed, odd):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-3, 4, shape, generator=generator).float() / 2  # few values, so that many windows have ties
    if odd:
        draw = torch.rand(shape, generator=generator)
        x[draw < 0.05] = float("nan")
        x[(draw > 0.1) & (draw < 0.4)] = float("-inf")
        x[draw > 0.98] = float("inf")
    return x


def main(job_file, folder):
    store = Store(folder)
    cases = []
    for case in json.loads(Path(job_file).read_text())["cases"]:
        x = example(case["shape"], case["seed"], case["odd"])
        output, indices = torch.ops.aten.max_pool2d_with_indices(x, *case["arguments"])
        cases.append({"input": store(x), "output": store(output), "indices": store(indices)})
    (Path(folder) / "index.json").write_text(json.dumps({"cases": cases}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
