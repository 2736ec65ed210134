"""Small nets, each of one trait that an explainer or a hook meets in real models. See models.py for how they are made.

Unless a net says otherwise it takes float [N, 3, 16, 20] and gives logits [N, 5].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1)


def pooled(x: Tensor) -> Tensor:
    return torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1)


class Plain(nn.Module):
    """Nothing unusual: no in-place operation, ReLU as modules."""

    def __init__(self, outputs: int = 5) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv(3, 6),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            conv(6, 8),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            conv(8, 8),
        )
        self.head = nn.Linear(8, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(x)))


class InPlaceReluAfter(nn.Module):
    """`features` ends in a convolution whose output the next module, an in-place nn.ReLU, overwrites."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(inplace=True), conv(6, 8))
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.relu(self.features(x))))


class EveryKindOfRelu(nn.Module):
    """Six ReLUs: a module, an in-place module, and four spellings as a function or method."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = conv(3, 6), conv(6, 6), conv(6, 6)
        self.d, self.e, self.f = conv(6, 6), conv(6, 6), conv(6, 6)
        self.relu1 = nn.ReLU()
        self.relu2 = nn.ReLU(inplace=True)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu2(self.b(self.relu1(self.a(x))))
        x = torch.relu(self.d(F.relu(self.c(x))))
        x = F.relu(self.e(x), inplace=True)
        return self.head(pooled(self.f(x).relu_()))


class FunctionalReluOnly(nn.Module):
    """No nn.ReLU at all, two functional ones: out of reach for hooks on modules."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(3, 6), conv(6, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(F.relu(self.b(F.relu(self.a(x))))))


class InPlaceOnInput(nn.Module):
    """Overwrites its own input, which nobody outside may notice."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.features = conv(3, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(self.relu(x))))


class ReluFree(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.Tanh(), conv(6, 6), nn.Sigmoid())
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(x)))


class CalledTwice(nn.Module):
    """One convolution and one ReLU serve two calls of the pass."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.shared = conv(6, 6)
        self.relu = nn.ReLU()
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.shared(self.stem(x)))
        return self.head(pooled(self.relu(self.shared(x))))


class Unit(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = conv(channels_in, channels_out)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.conv(x))


class Siblings(nn.Module):
    """Three instances of one class, the last two of equal shapes: TorchScript gives them one type."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = Unit(3, 6), Unit(6, 6), Unit(6, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.third(self.second(self.first(x)))))


class SharedGradients(nn.Module):
    """The gradient at its ReLUs and batch norms is a part of a larger one, expanded, or somebody else's as well."""

    def __init__(self) -> None:
        super().__init__()
        self.features = conv(3, 8)
        self.norm = nn.BatchNorm2d(8)
        self.bare = nn.BatchNorm2d(4, affine=False)
        self.relu, self.twice = nn.ReLU(), nn.ReLU()
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.features(x))
        left, right = torch.chunk(self.relu(x), 2, dim=1)
        again = self.twice(F.relu(x))
        joined = torch.cat([left, self.bare(right), again], dim=1)
        return F.relu(1 + self.head(F.relu(joined + torch.cat([x, again], dim=1)).mean(dim=[2, 3])))


class RegressionColumn(Plain):
    """Gives [N, 1]."""

    def __init__(self) -> None:
        super().__init__(outputs=1)


class RegressionFlat(nn.Module):
    """Gives [N]."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Plain(outputs=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x).squeeze(1)


class Segmentation(nn.Module):
    """Gives [N, 5, 16, 20]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 6))
        self.head = nn.Conv2d(6, 5, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.features(x)))


class Curved(nn.Module):
    """After `features` the score is not a piecewise linear function, so that second derivatives are not zero."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 8), nn.ReLU())
        self.mix = conv(8, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(torch.tanh(self.mix(self.features(x))) * 2) ** 2)


class PooledLinear(nn.Module):
    """A head of global average pooling and one linear layer: what CAM asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 8), nn.ReLU())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(x)))


class Relu6(nn.Module):
    """ReLU6 as a module and as a function, with values on both sides of its range."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 6)
        self.relu6 = nn.ReLU6()
        self.features = conv(6, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(self.relu6(self.first(x) * 8))
        return self.head(pooled(F.relu6(x * 4)))


class OneDimension(nn.Module):
    """A signal: float [N, 3, 40]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv1d(3, 6, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(6, 8, 3, padding=1))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.features(x)).mean(dim=2))


class ThreeDimensions(nn.Module):
    """A volume: float [N, 1, 6, 8, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv3d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(6, 8, 3, padding=1))
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.features(x)).flatten(2).mean(dim=2))
