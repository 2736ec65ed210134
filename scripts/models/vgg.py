"""VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015), with torch
alone.

Modules and parameters carry torchvision's names, so that a state_dict of one loads into the other where `hidden` is 4096.
It can be scripted and traced.
"""

from typing import List, Sequence, Union

import torch
from torch import Tensor, nn

VGG11: Sequence[Union[int, str]] = (64, "M", 128, "M", 256, 256, "M", 512, 512, "M", 512, 512, "M")


class VGG(nn.Module):
    """Takes float [N, 3, H, W], gives logits [N, num_classes]."""

    def __init__(self, plan: Sequence[Union[int, str]], num_classes: int = 1000, hidden: int = 4096) -> None:
        super().__init__()
        layers: List[nn.Module] = []
        channels = 3
        for step in plan:
            if isinstance(step, str):
                layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
            else:
                layers += [nn.Conv2d(channels, step, kernel_size=3, padding=1), nn.ReLU(inplace=True)]
                channels = step
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(channels * 49, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(),
            nn.Linear(hidden, num_classes),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))


def vgg11(num_classes: int = 1000, hidden: int = 4096) -> VGG:
    return VGG(VGG11, num_classes, hidden)
