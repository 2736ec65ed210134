"""Nets for DeepLIFT's rescale rule: one for every rule, and of each kind that it has to refuse. Float64 [N, 3, 16, 20]
unless a net says otherwise, logits [N, 5]."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Chain(nn.Module):
    """A chain of modules, activations that Captum knows nothing of and windows that overlap: float64 [N, 2, 9, 8]."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(2, 3, 3, padding=1),
            nn.GELU(),
            nn.MaxPool2d(3, stride=2, padding=1),
            nn.Conv2d(3, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.Hardswish(),
            nn.AvgPool2d(2),
            nn.PReLU(),
            nn.Flatten(),
            nn.Linear(16, 6),
            nn.SiLU(),
            nn.Linear(6, 5),
            nn.Mish(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)


class CaptumsRules(nn.Module):
    """Every module that Captum has a rule for but softmax, whose rule there does not add up. Each runs once, as it asks, and
    none right after another: see peer_rescale.py."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.ELU(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.Softplus(),
            nn.Conv2d(6, 6, 3, padding=1),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 6, 1),
            nn.ReLU(inplace=True),
        )
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(120, 8), nn.Tanh(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Functions(nn.Module):
    """CaptumsRules in functions, in place where there is such a form, with the same parameters."""

    def __init__(self) -> None:
        super().__init__()
        inner = CaptumsRules()
        self.features, self.head = inner.features, inner.head

    def forward(self, x: Tensor) -> Tensor:
        x = F.elu_(self.features[2](F.max_pool2d(self.features[0](x), 2)))
        x = F.leaky_relu_(self.features[4](x), 0.1)
        x = F.softplus(self.features[6](x))
        x = self.features[10](F.max_pool2d(self.features[8](x), 2)).relu_()
        x = torch.tanh(self.head[1](x.flatten(1)))
        return self.head[5](self.head[3](x).sigmoid_())


class Pools(nn.Module):
    """Adaptive max-pooling, and a bounded power between two linear parts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4 * 3 * 4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.adaptive_max_pool2d(self.conv(x) ** 3, (3, 4))
        return self.head(torch.clamp(x, -2.0, 1.5).flatten(1))


class Refused(nn.Module):
    """Two convolutions with something in between that the rule does not reach."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)

    def between(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.between(self.first(x)))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class SoftmaxInside(Refused):
    def between(self, x: Tensor) -> Tensor:
        return F.softmax(x, dim=1)


class Gate(Refused):
    """The product of two activations."""

    def between(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(x.mean(dim=[2, 3], keepdim=True))


class Normed(Refused):
    def between(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, [20])


class BatchStatistics(Refused):
    def between(self, x: Tensor) -> Tensor:
        return F.instance_norm(x)


class OwnMask(Refused):
    """A ReLU by another way: the mask has no gradient, but is made of the input."""

    def between(self, x: Tensor) -> Tensor:
        return x * (x > 0)


class Detached(Refused):
    def between(self, x: Tensor) -> Tensor:
        return x + torch.tanh(x.detach())


class PartInPlace(Refused):
    def between(self, x: Tensor) -> Tensor:
        x = x.clone()
        x[:, :2].relu_()
        return x


class Branch(Refused):
    """Takes another way for a small input: scripted alone."""

    def between(self, x: Tensor) -> Tensor:
        if float(x.abs().mean()) > 0.4:
            return torch.relu(x)
        return torch.tanh(x)


REFUSED = {
    "softmax_inside": SoftmaxInside,
    "gate": Gate,
    "normed": Normed,
    "batch_statistics": BatchStatistics,
    "own_mask": OwnMask,
    "detached_part": Detached,
    "part_in_place": PartInPlace,
}
