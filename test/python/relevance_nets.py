"""Nets for relevance propagation, in float64: [N, 3, 16, 20], logits [N, 5]. Each has the parts that rules differ at."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Plain(nn.Module):
    """Modules alone, each called once: what zennit and Captum can hook."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1, groups=2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(32, 12),
            nn.ReLU(),
            nn.Linear(12, 5),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.stages(x)


class Unnormed(nn.Module):
    """Without batch norms, for which Captum has another rule."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=1),
            nn.Tanh(),
            nn.AvgPool2d(2),
        )
        self.head = nn.Sequential(nn.Linear(160, 12), nn.ReLU(), nn.Linear(12, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.features(x), 1))


class Functions(nn.Module):
    """Plain in functions, in place where there is such a form, with the same parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = Plain().stages

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stages[1](self.stages[0](x)).relu_(), 2)
        x = F.avg_pool2d(F.relu(self.stages[5](self.stages[4](x))), 2)
        x = torch.relu_(self.stages[8](x)).flatten(1)
        return self.stages[13](self.stages[11](x).clamp(min=0))


class Add(nn.Module):
    """A module of its own, so that a test can put another in its place."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Block(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))
        self.add = Add()
        self.relu2 = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(self.add(y, self.shortcut(x)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(Block(6, 6, 1), Block(6, 10, 2))
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(10, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.pool(self.blocks(self.stem(x))))


class InPlaceBlock(Block):
    """The same with `+=` and a functional ReLU over the sum's memory."""

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return F.relu_(y)


class InPlace(Residual):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(InPlaceBlock(6, 6, 1), InPlaceBlock(6, 10, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(x)).mean([2, 3]))


class Dense(nn.Module):
    """As densenet: concatenations, and batch norms before the ReLU before the convolution, which cannot be merged."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
        self.norm1, self.conv1 = nn.BatchNorm2d(6), nn.Conv2d(6, 4, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(10), nn.Conv2d(10, 4, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(14)
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(14, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([x, self.conv1(self.relu1(self.norm1(x)))], 1)
        x = torch.cat([x, self.conv2(self.relu2(self.norm2(x)))], 1)
        return self.head(torch.flatten(self.pool(self.relu3(self.norm3(x))), 1))


class DenseFunctions(Dense):
    def forward(self, x: Tensor) -> Tensor:
        parts = [self.stem(x)]
        parts.append(self.conv1(F.relu(self.norm1(torch.cat(parts, 1)))))
        parts.append(self.conv2(F.relu_(self.norm2(torch.cat(parts, 1)))))
        x = F.relu(self.norm3(torch.cat(parts, 1)), inplace=True)
        return self.head(F.adaptive_avg_pool2d(x, (1, 1)).flatten(1))


class NormFirst(nn.Module):
    """Batch norms right before a convolution with margins, one with groups, a linear layer, and a transposed convolution with
    one after it: everything that can be merged besides the usual. No ReLU before them, so that inputs have both signs."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, padding=1)
        self.norm2, self.conv2 = nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1, stride=2, groups=3)
        self.up, self.norm3 = nn.ConvTranspose2d(6, 4, 2, stride=2), nn.BatchNorm2d(4)
        self.norm4, self.head = nn.BatchNorm1d(4), nn.Linear(4, 5)
        nn.init.uniform_(self.norm4.running_var, 0.5, 1.5)
        nn.init.normal_(self.norm4.running_mean, 0, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv1(self.norm1(x)))
        x = self.conv2(self.norm2(x))
        x = F.leaky_relu(self.norm3(self.up(x)), 0.1)
        return self.head(self.norm4(x.mean([2, 3])))


class Arithmetic(nn.Module):
    """Sums with fixed coefficients that have no module: differences, multiples, means, sums, enlarging, part of a tensor in place."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 5)
        self.register_buffer("scale", torch.tensor([0.5, 2.0, -1.5, 1.0]).view(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(2 * x - 0.5)
        y = self.conv2(F.avg_pool2d(x, 2))
        y = F.interpolate(y, scale_factor=2.0, mode="bilinear", align_corners=False)
        x = (x - 0.5 * y) * self.scale / 3
        x[:, 1:3].relu_()
        return self.head(x.sum([2, 3]) / 320 + x.amax([2, 3]))


class SoftmaxOutput(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return F.softmax(self.stages(x), 1)


class TwoOutputs(Plain):
    """Probabilities beside the logits: only what is explained has to have rules."""

    def forward(self, x: Tensor):
        logits = self.stages(x)
        return {"out": logits, "probabilities": F.softmax(logits, 1)}


NETS = {
    "relevance_plain": Plain,
    "relevance_unnormed": Unnormed,
    "relevance_functions": Functions,
    "relevance_residual": Residual,
    "relevance_in_place": InPlace,
    "relevance_dense": Dense,
    "relevance_dense_functions": DenseFunctions,
    "relevance_norm_first": NormFirst,
    "relevance_arithmetic": Arithmetic,
    "relevance_softmax": SoftmaxOutput,
    "relevance_two_outputs": TwoOutputs,
}
