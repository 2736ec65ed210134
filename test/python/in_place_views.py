"""Nets with in-place ReLUs on views, as TorchScript files, and their guided gradients by a ReLU of our own.

    python3 test/python/in_place_views.py OUT

OUT/index.json: {"input", "nets": {name: {"files": {"scripted", "traced"}, "relus", "modules", "all"}}}: the input
[2, 3, 12, 14], how many ReLUs of the net are [modules, all], and the gradient of class 1 at the input where those of the
modules, and where all of them, follow the rule of guided backprop. In float64, so that no gate is undecided by rounding.

The gradient comes from the same net with every ReLU on a view written out of place, by an autograd function whose backward is
the rule; it has no view that is changed in place.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import conv, pooled
from tensors import Store


class GuidedRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, most):
        ctx.save_for_backward(x)
        ctx.most = most
        return x.clamp(0, most)

    @staticmethod
    def backward(ctx, above):
        (x,) = ctx.saved_tensors
        return above * (x > 0) * (x < ctx.most) * (above > 0), None


def guided(x, most=float("inf")):
    return GuidedRelu.apply(x, most)


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, 6), conv(6, 6), conv(6, 6)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 5)

    def end(self, x):
        return self.head(pooled(x))


class OnSlice(Base):
    """A function in place on half of the channels, between two ordinary ReLUs."""

    relus = [0, 3]

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(x)))
        F.relu(x[:, 2:5], inplace=True)
        return self.head(pooled(torch.relu(self.c(x))))

    def plain(self, x, module, function):
        x = self.b(function(self.a(x)))
        x = torch.cat([x[:, :2], function(x[:, 2:5]), x[:, 5:]], 1)
        return self.end(function(self.c(x)))


class ModuleOnView(Base):
    """A module in place on a tensor in another shape; its result is used, and the tensor itself, too."""

    relus = [2, 3]

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.act(self.a(x)))
        flat = self.act(x.flatten(2))
        return self.head(pooled(torch.relu(self.c(x)))) + flat.mean(2)[:, :5]

    def plain(self, x, module, function):
        x = module(self.b(module(self.a(x))))
        return self.end(function(self.c(x))) + x.flatten(2).mean(2)[:, :5]


class OneAfterAnother(Base):
    """On overlapping views, on a view of a view, and a module whose result is not used."""

    relus = [1, 4]

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(x)))
        F.relu(x[:, :3], inplace=True)
        x = x - 0.1
        self.act(x[:, 2:])
        x = x - 0.1
        F.relu(x[:, 1:][:, :2], inplace=True)
        return self.head(pooled(self.c(x)))

    def plain(self, x, module, function):
        x = self.b(function(self.a(x)))
        x = torch.cat([function(x[:, :3]), x[:, 3:]], 1) - 0.1
        x = torch.cat([x[:, :2], module(x[:, 2:])], 1) - 0.1
        x = torch.cat([x[:, :1], function(x[:, 1:3]), x[:, 3:]], 1)
        return self.end(self.c(x))


class Ghost(Base):
    """As timm's ghostnet: a slice of a concatenation, to which a shortcut with a batch norm is added in place."""

    relus = [1, 2]

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)
        self.shortcut = nn.Sequential(conv(6, 6), nn.BatchNorm2d(6))

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x))
        before = x
        y = self.act(self.norm(self.b(x)))
        x = torch.cat([y, self.c(y)], 1)[:, :6]
        x += self.shortcut(before)
        return self.head(pooled(x))

    def plain(self, x, module, function):
        x = function(self.a(x))
        y = module(self.norm(self.b(x)))
        return self.end(torch.cat([y, self.c(y)], 1)[:, :6] + self.shortcut(x))


class ReluOnShortcut(Ghost):
    """The same with a ReLU in place on the sum, which lies in a view."""

    relus = [2, 4]

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.a(x))
        before = x
        y = self.act(self.norm(self.b(x)))
        x = torch.cat([y, self.c(y)], 1)[:, :6]
        x += torch.relu(self.shortcut(before))
        return self.head(pooled(self.act(x)))

    def plain(self, x, module, function):
        x = function(self.a(x))
        y = module(self.norm(self.b(x)))
        x = torch.cat([y, self.c(y)], 1)[:, :6] + function(self.shortcut(x))
        return self.end(module(x))


class ClippedOnView(Base):
    """ReLU6 in place on a view."""

    relus = [0, 2]

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(x))) * 8
        F.hardtanh(x[:, :4], 0.0, 6.0, inplace=True)
        return self.head(pooled(self.c(x)))

    def plain(self, x, module, function):
        x = self.b(function(self.a(x))) * 8
        x = torch.cat([function(x[:, :4], 6.0) if function is guided else x[:, :4].clamp(0, 6), x[:, 4:]], 1)
        return self.end(self.c(x))


class OtherOnView(Base):
    """An activation without a rule, in place on a view: to be refused."""

    relus = [0, 1]

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(torch.relu(self.a(x)))
        F.silu(x[:, :4], inplace=True)
        return self.head(pooled(self.c(x)))


NETS = [OnSlice, ModuleOnView, OneAfterAnother, Ghost, ReluOnShortcut, ClippedOnView, OtherOnView]


def gradient(net, x, module, function):
    leaf = x.clone().requires_grad_()
    net.plain(leaf, module, function)[:, 1].sum().backward()
    return leaf.grad


def main(folder):
    folder = Path(folder)
    store = Store(folder)
    torch.manual_seed(2)
    x = torch.randn(2, 3, 12, 14, dtype=torch.float64)
    index = {"input": store(x), "nets": {}}
    for kind in NETS:
        torch.manual_seed(3)
        net = kind().double().eval()
        name = kind.__name__
        files = {"scripted": f"{name}.scripted.pt", "traced": f"{name}.traced.pt"}
        torch.jit.script(net).save(folder / files["scripted"])
        torch.jit.trace(net, (x,)).save(folder / files["traced"])
        entry = index["nets"][name] = {"files": files, "relus": kind.relus}
        if hasattr(net, "plain"):
            assert torch.allclose(net.plain(x, torch.relu, torch.relu), net(x.clone()), rtol=0, atol=1e-12), name
            entry["modules"] = store(gradient(net, x, guided, torch.relu))
            entry["all"] = store(gradient(net, x, guided, guided))
    (folder / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
