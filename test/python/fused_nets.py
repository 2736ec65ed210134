"""Nets with channels enough for the convolutions of native/core/kernels/tiled_convolution.h, in the forms that a split fuses
with what is around them, and in forms that look like these and are not. All take [N, 3, H, W] and give logits [N, 5]."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import pooled


class DenseLayer(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, 48, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(48)
        self.conv2 = nn.Conv2d(48, growth, kernel_size=3, padding=1, bias=False)

    def forward(self, parts: list[Tensor]) -> Tensor:
        x = self.conv1(F.relu(self.norm1(torch.cat(parts, 1))))
        return self.conv2(F.relu(self.norm2(x), inplace=True))


class FusedDense(nn.Module):
    """A list that grows, channels that are not a multiple of a vector's, and a transition."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 20, kernel_size=3, padding=1)
        self.layer1, self.layer2 = DenseLayer(20, 16), DenseLayer(36, 16)
        self.norm, self.transition = nn.BatchNorm2d(52), nn.Conv2d(52, 32, kernel_size=1)
        self.layer3 = DenseLayer(32, 16)
        self.last = nn.BatchNorm2d(48)
        self.head = nn.Linear(48, 5)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.stem(x)]
        parts.append(self.layer1(parts))
        parts.append(self.layer2(parts))
        x = F.avg_pool2d(self.transition(F.relu(self.norm(torch.cat(parts, 1)))), 2)
        x = self.last(torch.cat([x, self.layer3([x])], 1))
        return self.head(pooled(F.relu(x)))


def norm_conv(channels_in: int, channels_out: int, **options) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels_in, channels_out, bias=False, **options), nn.BatchNorm2d(channels_out))


class FusedResidual(nn.Module):
    """Sums of every order: the residual before and after the convolution, on either side, in place, and reused."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = norm_conv(3, 32, kernel_size=3, padding=1)
        self.wide = norm_conv(32, 48, kernel_size=3, padding=2, dilation=2)
        self.down = norm_conv(48, 64, kernel_size=1, stride=2)
        self.main = norm_conv(48, 64, kernel_size=3, padding=1, stride=2)
        self.groups = norm_conv(64, 64, kernel_size=3, padding=1, groups=4)
        self.narrow = norm_conv(64, 64, kernel_size=(1, 3), padding=(0, 1))
        self.shared = norm_conv(64, 64, kernel_size=1)
        self.gate = nn.Conv2d(64, 64, kernel_size=1)
        self.last = norm_conv(64, 64, kernel_size=3, padding=1)
        self.head = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(self.wide(x))
        out = self.main(x)
        x = F.relu(out + self.down(x))  # the residual is computed last
        out = self.groups(x)
        out += x
        x = F.relu(out, inplace=True)
        x = F.relu(x + self.narrow(x))  # the residual on the left
        out = self.shared(x)
        x = F.relu(torch.add(out, x, alpha=2))  # not a plain sum
        x = x + self.shared(x)  # without a ReLU
        x = F.relu(x + self.gate(F.adaptive_avg_pool2d(x, (1, 1))))  # of another size
        out = self.narrow(x)
        x = F.relu(out + x) + out  # what is added is read again
        out = self.shared(F.relu(x))
        x = out + x
        out = self.narrow(F.relu(x))
        x.add_(out)  # the residual is the side that is given up
        return self.head(pooled(F.relu(self.last(x) + x)))


class FusedPreActivation(nn.Module):
    """A batch norm before convolutions: one, two that share it, and one with groups."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, kernel_size=5, padding=2, stride=2)
        self.norm1, self.norm2, self.norm3 = nn.BatchNorm2d(32), nn.BatchNorm2d(48), nn.BatchNorm2d(48)
        self.norm4 = nn.BatchNorm2d(48)
        self.alone = nn.Conv2d(32, 48, kernel_size=3, padding=1)
        self.first, self.second = nn.Conv2d(48, 48, kernel_size=1), nn.Conv2d(48, 48, kernel_size=3, padding=1)
        self.groups = nn.Conv2d(48, 48, kernel_size=3, padding=1, groups=3)
        self.last = nn.Conv2d(48, 32, kernel_size=1)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.alone(self.norm1(self.stem(x)))  # no ReLU between; zeros are padded after the batch norm
        both = F.relu(self.norm2(x))
        x = self.first(both) + self.second(both)
        x = x + self.groups(F.relu(self.norm3(x)))
        return self.head(pooled(self.last(F.relu(self.norm4(x)))))
