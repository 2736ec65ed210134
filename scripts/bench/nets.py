"""The models of the benchmark, by name: how each is made, which layers are explained and for which class."""

import sys
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Optional

root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "scripts"))

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.densenet import DenseNet
from models.resnet import resnet18, resnet50
from models.seeded import seeded
from models.vgg import VGG, vgg11


class Net(NamedTuple):
    make: Callable[[], nn.Module]
    layers: Dict[str, str]  # workload -> the layer that it explains
    target: int
    weights: Optional[str] = None  # a TorchScript file of the repository; else seeded random ones


class EagerDenseNet(DenseNet):
    """The same function without the in-place ReLU after `features`.

    With it, what the peers' hooks keep of `features` on the CPU is overwritten before they read it, so that their map is
    another one than ours: then the speed of different results would be compared. The TorchScript file keeps it in place.
    """

    def forward(self, x: Tensor) -> Tensor:
        active = F.relu(self.features(x))
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(active, (1, 1)), 1))


def eager_vgg11() -> VGG:
    """With a small classifier, which the real one's 120 million parameters would only make wait for memory, and without ReLUs in
    place, whose inputs Captum's DeepLIFT cannot see."""
    net = vgg11(hidden=256)
    for module in net.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False
    return net


DENSENET121 = dict(growth_rate=32, block_config=(6, 12, 24, 16), num_init_features=64)
# As scripts/samples/train-sample-model.py trains it.
ANIMALS = dict(growth_rate=16, block_config=(3, 6, 8), num_init_features=16, bn_size=2, num_classes=8)

DENSENET_LAYERS = {"gradcam-last": "features", "gradcam-early": "features.denseblock1"}
RESNET_LAYERS = {"gradcam-last": "layer4", "gradcam-early": "layer1"}

# The class is one whose maps of the first images are not all zero: agreeing on those would mean nothing.
NETS: Dict[str, Net] = {
    "densenet121": Net(lambda: EagerDenseNet(**DENSENET121), DENSENET_LAYERS, 10),
    "resnet50": Net(resnet50, RESNET_LAYERS, 283),
    "resnet18": Net(resnet18, RESNET_LAYERS, 283),
    "vgg11": Net(eager_vgg11, {"gradcam-last": "features.19", "gradcam-early": "features.4"}, 283),
    "animals": Net(lambda: EagerDenseNet(**ANIMALS), DENSENET_LAYERS, 2, "samples/animals-densenet.pt"),
}
SCRIPTED: Dict[str, Callable[[], nn.Module]] = {"densenet121": lambda: DenseNet(**DENSENET121)}


class OneConvolution(nn.Module):
    """As little work as an explanation can have: for what is left when the work is taken away."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).mean((2, 3))


def eager(name: str) -> nn.Module:
    """In eval mode, with random weights that one seed gives."""
    net = NETS[name]
    model = seeded(net.make, 2)
    if net.weights:
        model.load_state_dict(torch.jit.load(str(root / net.weights), map_location="cpu").state_dict())
    return model


def scripted(name: str) -> torch.jit.ScriptModule:
    """The same weights as TorchScript, with the in-place ReLU where the published model has one."""
    net = NETS[name]
    if net.weights:
        return torch.jit.load(str(root / net.weights), map_location="cpu")
    return torch.jit.script(seeded(SCRIPTED.get(name, net.make), 2))
