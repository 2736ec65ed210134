"""Small nets whose inputs, outputs or control flow are not a plain chain of tensors. See nets.py and models.py."""

from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import Unit, conv, pooled


class Base(nn.Module):
    """The shared part of the nets that differ in what they return."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 6))
        self.head = nn.Linear(6, 5)


class TupleOutput(Base):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        features = self.features(x)
        return self.head(pooled(features)), features


class ListOutput(Base):
    def forward(self, x: Tensor) -> List[Tensor]:
        features = self.features(x)
        return [self.head(pooled(features)), features]


class DictOutput(Base):
    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        features = self.features(x)
        return {"out": self.head(pooled(features)), "features": features}


class Named(NamedTuple):
    logits: Tensor
    features: Tensor


class NamedTupleOutput(Base):
    def forward(self, x: Tensor) -> Named:
        features = self.features(x)
        return Named(self.head(pooled(features)), features)


class NestedOutput(Base):
    def forward(self, x: Tensor) -> Tuple[Tensor, Dict[str, List[Tensor]]]:
        features = self.features(x)
        return self.head(pooled(features)), {"maps": [features, features * 2]}


class MultiInput(Base):
    def forward(self, x: Tensor, scale: Optional[Tensor] = None, extras: Optional[List[Tensor]] = None) -> Tensor:
        if scale is not None:
            x = x * scale
        if extras is not None:
            for extra in extras:
                x = x + extra
        return self.head(pooled(self.features(x)))


class ListLayer(nn.Module):
    """A layer of two tensors and a list, giving a tuple."""

    def forward(self, maps: List[Tensor], bias: Tensor) -> Tuple[Tensor, Tensor]:
        joined = torch.cat(maps, 1) + bias
        return joined, joined.mean(dim=(2, 3))


class InnerStructures(nn.Module):
    """`join` takes a list and a tensor and returns a tuple: what a hook on it must be given and may replace."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(3, 3), conv(3, 3)
        self.join = ListLayer()
        self.head = nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        maps, means = self.join([self.left(x), self.right(x)], x[:, :1])
        return self.head(torch.cat([pooled(F.relu(maps)), means], 1))


class ControlFlow(nn.Module):
    """`chosen` stands in an `if`, `step` in a loop that runs as often as the image has blocks of 8 rows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.chosen, self.other = Unit(6, 6), Unit(6, 6)
        self.step = conv(6, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.dim() == 4:
            x = self.chosen(x)
        else:
            x = self.other(x)
        for _ in range(x.size(2) // 8):
            x = F.relu(self.step(x))
        return self.head(pooled(x))


class OtherMethod(nn.Module):
    """`coder` is used through a method that is not `forward`, `idle` not at all: neither layer is reached."""

    def __init__(self) -> None:
        super().__init__()
        self.coder = Coder()
        self.idle = conv(3, 3)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.coder.encode(x)))


class Coder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = conv(3, 6)

    @torch.jit.export
    def encode(self, x: Tensor) -> Tensor:
        return F.relu(self.inner(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)


class Detached(Base):
    """The score does not depend on `features` as far as autograd can see."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(x).detach()))


class ClassIndex(Base):
    """Gives int64 [N], of which there is no gradient."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(x))).argmax(1)
