"""Small nets whose convolutions are wide enough for kernels of our own, with ReLUs where these could be wrong about them.

All take [N, 3, 16, 20] and give logits [N, 5].
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import conv, pooled


class Kinds(nn.Module):
    """ReLUs as modules, in place and not, and as functions and methods, with and without a batch norm before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 32)
        self.a, self.b, self.c = conv(32, 32), conv(32, 48), nn.Conv2d(48, 32, kernel_size=1)
        self.d, self.e = conv(32, 32), conv(32, 32)
        self.norm_a, self.norm_c = nn.BatchNorm2d(32), nn.BatchNorm2d(48)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU(inplace=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.relu1(self.norm_a(self.stem(x))))
        x = self.b(F.relu(x))
        x = self.c(self.relu2(self.norm_c(x)))
        x = self.d(x.relu_())
        return self.head(pooled(self.e(self.relu1(x))))


class ReadAgain(nn.Module):
    """What a ReLU in place changes, and what a batch norm and a concatenation return, is read by others, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 32)
        self.a, self.b, self.c = conv(32, 32), conv(32, 32), conv(64, 32)
        self.norm, self.norm_b = nn.BatchNorm2d(32), nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.a(self.relu(x)) + x
        normed = self.norm(y)
        z = self.b(F.relu(normed)) * normed
        both = torch.cat([y, z], 1)
        return self.head(pooled(self.c(self.relu(self.norm_b(both))) + y))


class Squeezed(nn.Module):
    """Channels are weighted by what a small network makes of their means, before the next ReLUs: rounding of these means
    opens and closes them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = conv(3, 32), nn.BatchNorm2d(32)
        self.a, self.b = conv(32, 32), conv(32, 32)
        self.down, self.up = nn.Conv2d(32, 16, kernel_size=1), nn.Conv2d(16, 32, kernel_size=1)
        self.relu = nn.ReLU()
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.relu(self.norm(self.stem(x))))
        weights = torch.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1)))))
        return self.head(pooled(self.b(self.relu(x * weights))))


class Sampled(nn.Module):
    """Strides, pools, padding, dilation, several sizes, and a classifier with a ReLU after the layout is flattened."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, kernel_size=3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(32)
        self.a = nn.Conv2d(32, 64, kernel_size=3, stride=2, padding=1)
        self.b = nn.Conv2d(64, 32, kernel_size=1)
        self.c = nn.Conv2d(32, 32, kernel_size=3, padding=2, dilation=2)
        self.d = nn.Conv2d(64, 32, kernel_size=(1, 3))
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Sequential(nn.Linear(32 * 4 * 5, 24), nn.ReLU(), nn.Dropout(), nn.Linear(24, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.relu(self.norm(self.stem(x))), 3, 1, 1)
        x = self.b(self.relu(self.a(x)))
        y = F.interpolate(F.avg_pool2d(self.c(F.relu(x)), 2), scale_factor=2.0)
        x = self.d(F.pad(self.relu(torch.cat([x, y], 1)), [1, 1, 0, 0]))
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, (4, 5)), 1))


class Trunk(nn.Module):
    """What the nets below share, whose forward alone is of interest."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.stem, self.norm = conv(3, 32), nn.BatchNorm2d(32)
        self.a, self.b = conv(32, 32), conv(32, 32)
        self.relu = nn.ReLU(inplace=in_place)
        self.head = nn.Linear(32, 5)


class Branched(Trunk):
    """A branch returns what a ReLU in it returned and a convolution in it read."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.shape[0] < 100:
            y = self.relu(self.norm(x))
            z = self.a(y)
        else:
            y, z = x, x
        return self.head(pooled(self.b(self.relu(z)) + y))


class Looped(Trunk):
    """A turn of a loop hands on what a ReLU without a batch norm in it returned, and what it read."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y, before = x, x
        for _ in range(x.shape[1] // 16):
            before = x * 0.5
            y = self.relu(before)
            x = self.a(y)
        return self.head(pooled(self.b(self.relu(x)) + y * before))


class Compared(nn.Module):
    """The values of what one ReLU returned, and the size of what another did, decide about what is computed later."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = conv(3, 32), nn.BatchNorm2d(32)
        self.a, self.b, self.c = conv(32, 32), conv(32, 32), nn.Conv2d(32, 32, kernel_size=3)
        self.relu = nn.ReLU()
        self.head = nn.Linear(32 * 16 * 20, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm(self.a(self.stem(x))))
        z = self.b(y)
        factor = 0.5 if torch.equal(y, z) else 2.0
        y = self.relu(z + z)
        z = F.interpolate(self.c(y), size=y.shape[2:])
        return self.head(torch.flatten(z, 1)) * factor


class TwoRelus(nn.Module):
    """Two ReLUs read one value: the rule of guided backprop is for the gradient of each, and not for their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = conv(3, 32), nn.BatchNorm2d(32)
        self.a, self.b = conv(32, 32), conv(32, 32)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x))
        return self.head(pooled(self.a(self.relu1(x)) + self.b(self.relu2(x)) * x.relu()))


class NormedTwice(nn.Module):
    """Batch norms and ReLUs in turns, with no convolution between."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = conv(3, 32), conv(32, 32), conv(32, 32)
        self.norm1, self.norm2, self.norm3 = nn.BatchNorm2d(32), nn.BatchNorm2d(32), nn.BatchNorm2d(32)
        self.relu = nn.ReLU()
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.a(self.stem(x))))
        x = F.relu(self.norm3(self.relu(self.norm2(x))))
        return self.head(pooled(self.b(x)))


class DropoutChanged(Trunk):
    """Dropout returns its input itself where it is off, so that an operator in place changes both."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.a(self.stem(x)))
        y = F.dropout(x, 0.5, self.training)
        x += y
        return self.head(pooled(self.b(self.relu(y))))


class ChangedLater(nn.Module):
    """A part of a concatenation is changed in place after it was read, which PyTorch allows."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = conv(3, 32), nn.BatchNorm2d(64)
        self.a, self.b = conv(32, 32), conv(64, 32)
        self.relu = nn.ReLU()
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.a(x)
        z = self.b(self.relu(self.norm(torch.cat([x, y], 1))))
        return self.head(pooled(z + y.mul_(0.5)))


class ViewChanged(nn.Module):
    """An operator in place on a view of an activation, which changes the activation, too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = conv(3, 32), conv(32, 32), conv(32, 32)
        self.relu = nn.ReLU()
        self.head = nn.Linear(32, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.b(self.relu(self.a(self.relu(self.stem(x)))))
        torch.flatten(x, 1).mul_(0.5)
        return self.head(pooled(x))


class ReadUnderOtherName(Trunk):
    """A ReLU changes its input in place, and what it returned is read under both names."""

    def __init__(self) -> None:
        super().__init__(in_place=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(self.stem(x))
        y = self.relu(x)
        z = self.b(y) + x
        return self.head(pooled(z * x))


class ReadThroughBranch(Trunk):
    """The same, where only the run knows that both names are of one tensor."""

    def __init__(self) -> None:
        super().__init__(in_place=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        if x.shape[0] < 100:
            y = self.a(x)
            first, second = y, y
        else:
            first, second = x, x
        z = self.b(self.relu(first)) + second
        return self.head(pooled(z * second))


class CastInPlace(Trunk):
    """type_as returns its input itself where the type is the same, which its schema does not say."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.a(self.stem(x)))
        z = y.type_as(x)
        z.mul_(0.5)
        return self.head(pooled(self.b(y) * z))


class ContiguousChanged(Trunk):
    """contiguous returns its input itself in the usual layout of memory, and a copy of it in another."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.a(self.stem(x)))
        z = y.contiguous()
        z.mul_(0.5)
        return self.head(pooled(self.b(y) * z))


class UnusedCall(Trunk):
    """A ReLU is called once more than it is used: a trace keeps the call, of a module that does nothing."""

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.a(self.relu(self.stem(x))))
        self.relu(x)
        return self.head(pooled(self.b(x)))
