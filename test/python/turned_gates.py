"""What gates.py makes of ReLUs and max-pools by whichever name a net calls them.

    python3 test/python/turned_gates.py

Prints {NAME: {"undecided": count, "plain": gradient, "turned": gradient}} as JSON, for inputs with values near a corner or
near each other.
"""

import json

import torch
import torch.nn.functional as F
from torch import nn

from gates import OtherSide, Watch

RELU = [1.0, -1.0, 1e-6, -1e-6, 0.0]
RELU6 = [6.00001, 5.99999, 3.0, -1e-5, 7.0]
POOL = [1.0, 1.000001, 0.0, 0.0, 0.5, 0.2, 0.0, 0.0, 3.0, 1.0, 2.0, 2.0, 1.0, 2.0, 2.00001, 2.0]

GATES = {
    "F.relu": (F.relu, RELU, (1, 5)),
    "F.relu by name": (lambda x: F.relu(input=x), RELU, (1, 5)),
    "torch.relu": (torch.relu, RELU, (1, 5)),
    "relu_": (lambda x: x.clone().relu_(), RELU, (1, 5)),
    "nn.ReLU": (nn.ReLU(), RELU, (1, 5)),
    "nn.ReLU in place": (lambda x: nn.ReLU(inplace=True)(x.clone()), RELU, (1, 5)),
    "nn.ReLU6": (nn.ReLU6(), RELU6, (1, 5)),
    "F.relu6": (F.relu6, RELU6, (1, 5)),
    "nn.MaxPool2d": (nn.MaxPool2d(2), POOL, (1, 1, 4, 4)),
    "nn.MaxPool2d with indices": (lambda x: nn.MaxPool2d(2, return_indices=True)(x)[0], POOL, (1, 1, 4, 4)),
    "torch.max_pool2d": (lambda x: torch.max_pool2d(x, 2), POOL, (1, 1, 4, 4)),
    "nn.MaxPool1d": (nn.MaxPool1d(2), POOL, (1, 1, 16)),
    "nn.MaxPool3d": (nn.MaxPool3d((1, 2, 2)), POOL, (1, 1, 1, 4, 4)),
}


def gradient(gate, values, shape, mode):
    x = torch.tensor(values, dtype=torch.float64).view(shape).requires_grad_()
    with mode:
        gate(x).sum().backward()
    return x.grad.flatten().tolist()


def answer(gate, values, shape):
    watch = Watch()
    plain = gradient(gate, values, shape, watch)
    return {"undecided": watch.undecided, "plain": plain, "turned": gradient(gate, values, shape, OtherSide())}


if __name__ == "__main__":
    print(json.dumps({name: answer(*gate) for name, gate in GATES.items()}))
