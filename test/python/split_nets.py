"""Small nets for cutting a model at its target layers. All take [N, 3, 16, 20] and give logits [N, 5]."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import conv, pooled


class DenseLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, 8, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(8)
        self.conv2 = conv(8, 4)

    def forward(self, parts: list[Tensor]) -> Tensor:
        x = self.conv1(self.relu(self.norm1(torch.cat(parts, 1))))
        return self.conv2(self.relu(self.norm2(x)))


class Dense(nn.Module):
    """Every layer reads all before it, so that a cut between two of them leaves several values alive."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.layer1, self.layer2, self.layer3 = DenseLayer(6), DenseLayer(10), DenseLayer(14)
        self.norm = nn.BatchNorm2d(18)
        self.head = nn.Linear(18, 5)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.stem(x)]
        parts.append(self.layer1(parts))
        parts.append(self.layer2(parts))
        parts.append(self.layer3(parts))
        return self.head(pooled(F.relu(self.norm(torch.cat(parts, 1)))))


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(channels, channels), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = conv(channels, channels), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x
        return self.relu(out)


class Residual(nn.Module):
    """A layer inside the second block is cut at while the skip connection lives across the cut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.blocks = nn.Sequential(Block(6), Block(6))
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.blocks(self.stem(x))))


class Viewed(nn.Module):
    """Takes a view of what must be contiguous, so that it does not run on channels-last memory."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(), nn.MaxPool2d(4), conv(6, 4))
        self.head = nn.Linear(4 * 4 * 5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x).view(x.size(0), -1))


class Branches(nn.Module):
    """Two layers side by side: neither depends on the other."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(3, 4), conv(3, 4)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(torch.relu(torch.cat([self.left(x), self.right(x)], 1))))


class OneWay(nn.Module):
    """Calls its layer in one of two branches, of which a flag of the module decides."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.has_residual = channels_in == channels_out
        self.conv = conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        if self.has_residual:
            return x + torch.relu(self.conv(x))
        return torch.relu(self.conv(x))


class Halves(nn.Module):
    """The same, where a number decides, as in ShuffleNet's blocks."""

    def __init__(self, stride: int, scale: float) -> None:
        super().__init__()
        self.stride, self.scale = stride, scale
        self.conv = nn.Conv2d(6, 6, 3, stride=stride, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1 and self.scale > 0.5:
            out = torch.cat([x * self.scale, self.conv(x)], 1)
        elif self.stride >= 2:
            out = torch.cat([x[:, :, ::2, ::2], self.conv(x)], 1)
        else:
            out = torch.cat([x, torch.tanh(self.conv(x))], 1)
        return out[:, :6] + out[:, 6:]


class TwoWays(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = OneWay(3, 6), OneWay(6, 6)
        self.third, self.fourth = Halves(1, 0.75), Halves(2, 1.0)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.fourth(self.third(self.second(self.first(x))))))


class Wide(nn.Module):
    """Batch norms over a whole number of 32 channels and over 8 more, as many as fit in one or two vectors of a CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(3, 40), conv(3, 24)
        self.norm = nn.BatchNorm2d(64)
        self.last = conv(64, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.last(torch.relu(self.norm(torch.cat([self.left(x), self.right(x)], 1))))))
