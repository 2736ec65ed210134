"""Nets whose maps point nowhere, as TorchScript files and exported programs, and what eager PyTorch makes of them.

    python3 test/python/constant_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is always class 1.
"""

import sys

import torch
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded
from unusual_nets import Baked, features, grad_cam, input_gradient, pooled


class Pooled(nn.Module):
    """A layer with a single spatial position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.pool, self.head = features(), nn.AdaptiveAvgPool2d(1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.stem(x)).flatten(1))


class Spread(nn.Module):
    """What a global context gives to each position: the same."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean([2, 3], keepdim=True) + torch.zeros_like(x)


class Context(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.spread, self.last, self.head = features(), Spread(), nn.Conv2d(6, 6, 1), nn.Linear(6, 5)
        with torch.no_grad():
            self.last.weight.abs_()
            self.head.weight.abs_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.last(self.spread(self.stem(x)))))


class Around(nn.Module):
    """Every position sums all positions, each in an order of its own: the same number but for rounding."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(6, 5)
        self.around = nn.Conv2d(6, 6, 8, padding="same", padding_mode="circular")
        with torch.no_grad():
            self.around.weight.copy_(self.around.weight[:, :, :1, :1].abs().expand(6, 6, 8, 8).clone())
            self.head.weight.abs_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.around(self.stem(x))))


class Means(nn.Module):
    """Linear in the mean of each channel: every pixel of a channel has the same gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(x))


class Deaf(nn.Module):
    """A score of 1000, which the image changes by up to `most`."""

    def __init__(self, most: float) -> None:
        super().__init__()
        self.most = most
        self.stem, self.head = features(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return 1000 + self.most * torch.tanh(self.head(pooled(self.stem(x))))


def every_case():
    x = seeded((2, 3, 16, 16), 31)
    for name, kind, layer in (("pooled", Pooled, "pool"), ("context", Context, "spread"), ("around", Around, "around")):
        m = kind().eval()
        yield name, torch.jit.script(m), [x], {"cam": grad_cam(m, layer, [x])}
    m = Around().double().eval()
    yield "around-double", torch.jit.script(m), [x.double()], {"cam": grad_cam(m, "around", [x.double()])}

    m = Means().eval()
    yield "means", torch.jit.script(m), [x], {"gradient": input_gradient(m, [x], 0)}

    # In the digits that float32 does not have and float64 has; and not at all.
    m = Deaf(1e-4).eval()
    yield "deaf", torch.jit.script(m), [x], {"output": m(x).detach()}
    yield "deaf-double", torch.jit.script(m.double()), [x.double()], {"output": m(x.double()).detach()}

    m = Deaf(0.0).eval()
    yield "blind", torch.jit.script(m), [x], {"output": m(x).detach()}

    # A program of one image, whose first layer gives zeros for an image of zeros.
    m = Baked().eval()
    m.stem[0].bias.data.zero_()
    yield "one-at-a-time", torch.export.export(m, (x[:1],)), [x], {
        "cam": torch.cat([grad_cam(m, "stem", [x[i : i + 1]]) for i in range(2)])
    }


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
