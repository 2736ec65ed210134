"""DenseNet (Huang et al., "Densely Connected Convolutional Networks", CVPR 2017), with torch alone.

Modules and parameters carry torchvision's names and are made in torchvision's order, so that a state_dict of one loads
into the other, `features` is the layer to explain, and one seed gives both the same weights. It can be scripted and
traced.
"""

import re
from collections import OrderedDict
from typing import Dict, List, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DenseLayer(nn.Module):
    """Adds `growth_rate` channels, computed from everything that its block has made so far.

    Takes a list of [N, C_i, H, W], gives [N, growth_rate, H, W].
    """

    def __init__(self, channels: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        bottleneck = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(channels, bottleneck, kernel_size=1, bias=False)
        self.norm2 = nn.BatchNorm2d(bottleneck)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(bottleneck, growth_rate, kernel_size=3, padding=1, bias=False)
        self.drop_rate = float(drop_rate)

    def forward(self, earlier: List[Tensor]) -> Tensor:
        squeezed = self.conv1(self.relu1(self.norm1(torch.cat(earlier, 1))))
        added = self.conv2(self.relu2(self.norm2(squeezed)))
        if self.drop_rate > 0:
            added = F.dropout(added, p=self.drop_rate, training=self.training)
        return added


class DenseBlock(nn.ModuleDict):
    """Layers `denselayer1`, `denselayer2`, ...; gives its input and what each layer added, side by side."""

    def __init__(self, depth: int, channels: int, growth_rate: int, bn_size: int, drop_rate: float) -> None:
        super().__init__()
        for i in range(depth):
            self[f"denselayer{i + 1}"] = DenseLayer(channels + i * growth_rate, growth_rate, bn_size, drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for layer in self.values():
            parts.append(layer(parts))
        return torch.cat(parts, 1)


class Transition(nn.Sequential):
    """Between two blocks: fewer channels, half the width and height."""

    def __init__(self, channels: int, channels_out: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(channels, channels_out, kernel_size=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """Takes float [N, 3, H, W], gives logits [N, num_classes]."""

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(3, num_init_features, kernel_size=7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(num_init_features),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
            )
        )
        channels = num_init_features
        for i, depth in enumerate(block_config):
            self.features.add_module(
                f"denseblock{i + 1}", DenseBlock(depth, channels, growth_rate, bn_size, drop_rate)
            )
            channels += depth * growth_rate
            if i + 1 < len(block_config):
                self.features.add_module(f"transition{i + 1}", Transition(channels, channels // 2))
                channels //= 2
        # torchvision calls it norm5 whatever the number of blocks.
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.classifier = nn.Linear(channels, num_classes)
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        # In place on purpose, as in torchvision: an explainer must cope with `features` being overwritten after it ran.
        active = F.relu(self.features(x), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(active, (1, 1)), 1))


def densenet121(num_classes: int = 1000) -> DenseNet:
    return DenseNet(growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64, num_classes=num_classes)


def rename_old_keys(state_dict: Dict[str, Tensor]) -> Dict[str, Tensor]:
    """The published ImageNet files date from when layers were called `norm.1`, which a module may no longer be."""
    return {re.sub(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.", r"\1\2.", k): v for k, v in state_dict.items()}
