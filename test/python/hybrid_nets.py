"""Nets that have both tokens and [N, C, h, w], as TorchScript files, and the Grad-CAM of eager PyTorch at the layer that is nearest to
the class.

    python3 test/python/hybrid_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {"cam": tensor}}}.
"""

import sys

import torch
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded
from token_nets import Block

CLASS = 3
GRID = (4, 6)


def tokens_of(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


def grid_of(tokens: Tensor) -> Tensor:
    return tokens.transpose(1, 2).reshape(tokens.shape[0], -1, *GRID)


class Stage(nn.Module):
    """Attention inside a stage of convolutions, as in edgenext: it takes and returns [N, C, h, w]."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(8, 2)
        self.mix = nn.Conv2d(8, 8, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(grid_of(self.block(tokens_of(x)))).tanh()


class Convolutional(nn.Module):
    """Its last stage returns [N, C, h, w]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.stages = nn.Sequential(Stage(), Stage())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(x)).mean((2, 3)))


class ProjectedBlock(nn.Module):
    """Attention whose queries come from a convolution, as in cvt: inside it is [N, C, h, w], around it are tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.project = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.out = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q = tokens_of(self.project(grid_of(y)))
        return x + self.out(torch.softmax(q @ y.transpose(1, 2), -1) @ y)


class Projected(nn.Module):
    """Tokens up to the end."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, 4)
        self.blocks = nn.Sequential(ProjectedBlock(), ProjectedBlock())
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.norm(self.blocks(tokens_of(self.stem(x))))).mean(1))


class Detached(Projected):
    """After its tokens it adds what a convolution makes of them, which autograd does not see."""

    def __init__(self) -> None:
        super().__init__()
        self.aside = nn.Conv2d(8, 5, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.blocks(tokens_of(self.stem(x))))
        return self.head(torch.tanh(tokens).mean(1)) + self.aside(grid_of(tokens)).detach().mean((2, 3))


def cam(m, layer, x, order):
    seen = []
    hook = m.get_submodule(layer).register_forward_hook(lambda _m, _i, y: seen.append(y))
    y = m(x)
    hook.remove()
    (g,) = torch.autograd.grad(y[:, CLASS].sum(), seen[-1])
    a, g = order(seen[-1]), order(g)
    return (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu().detach()


def every_case():
    x = seeded((2, 3, 16, 24), 61, kind="rand")
    for name, m, layer, order in (
        ("convolutional", Convolutional(), "stages", lambda t: t),
        ("projected", Projected(), "norm", grid_of),
        ("detached", Detached(), "norm", grid_of),
    ):
        m.eval()
        yield name, torch.jit.trace(m, x), [x], {"cam": cam(m, layer, x, order)}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
