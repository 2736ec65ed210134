"""Nets whose modules hold what is hard to copy, as TorchScript files, and what eager PyTorch says of them.

    python3 test/python/copied_nets.py OUT

OUT/index.json: {"input", "nets": {name: {"file", "cam"}}}: the input [2, 3, 16, 20], and Grad-CAM of class 1 at the layer
`features`, [2, 1, 8, 10], before it is scaled, of the first run. All give logits [N, 5].
"""

import copy
import json
import sys
from enum import Enum
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import conv, pooled
from tensors import Store, seeded


class Base(nn.Module):
    """`stem`, `features` at half its size, and a linear head; the nets below differ between them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv(3, 8), nn.BatchNorm2d(8), nn.ReLU())
        self.features = nn.Sequential(nn.MaxPool2d(2), conv(8, 8), nn.ReLU())
        self.head = nn.Linear(8, 5)


class SharedModule(Base):
    """One module under two names, each of which is called."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Sequential(conv(8, 8), nn.ReLU())
        self.again = self.before

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(self.again(self.before(self.stem(x))))))


class TiedParameters(Base):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False)
        self.narrow.weight = self.wide.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.narrow(torch.tanh(self.wide(pooled(self.features(self.stem(x)))))))


@torch.jit.interface
class Activation(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class Leaky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(0.25))

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(x > 0, x, x * self.slope)


class Interfaces(Base):
    """A module that the model knows by its interface alone, before the target layer and after it."""

    before: Activation
    after: Activation

    def __init__(self) -> None:
        super().__init__()
        self.before, self.after = Leaky(), Leaky()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.after.forward(self.features(self.before.forward(self.stem(x))))))


@torch.jit.script
class Scaling:
    def __init__(self, weight: Tensor, power: float) -> None:
        self.weight = weight
        self.power = power

    def scale(self, x: Tensor) -> Tensor:
        return x * self.weight**self.power


class ScriptClass(Base):
    """An object of a class that is not a module, made in each run."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", seeded((1, 8, 1, 1), 5).abs())

    def forward(self, x: Tensor) -> Tensor:
        scaling = Scaling(self.weight, 0.5)
        return self.head(pooled(scaling.scale(self.features(scaling.scale(self.stem(x))))))


class Kind(Enum):
    plain = 1
    squared = 2


class Parts(NamedTuple):
    first: Tensor
    rest: List[Tensor]


def join(parts: Parts, weights: Dict[str, Tensor], kind: Kind) -> Tensor:
    x = parts.first
    for part in parts.rest:
        x = x + part * weights["rest"]
    return x * x if kind == Kind.squared else x


class Containers(Base):
    """Loops over lists and dicts of modules, free functions, and attributes of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Sequential(conv(8, 8), nn.Tanh()) for _ in range(3)])
        self.by_name = nn.ModuleDict({"one": conv(8, 8), "two": conv(8, 8)})
        self.scales: List[float] = [0.5, 1.5, 0.75]
        self.weights: Dict[str, Tensor] = {"rest": torch.tensor(0.3)}
        self.sizes: Tuple[int, Tensor] = (2, torch.tensor(1.25))
        self.kind = Kind.squared

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        rest: List[Tensor] = []
        for i, layer in enumerate(self.layers):
            rest.append(layer(x) * self.scales[i])
        x = join(Parts(x, rest), self.weights, self.kind) * self.sizes[1]
        for name, layer in self.by_name.items():
            x = torch.relu(layer(x))
        return self.head(pooled(self.features(x)))


class Counting(Base):
    """Its logits are multiplied by a buffer that counts its runs, in place."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("runs", torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        self.runs.add_(1)
        return self.head(pooled(self.features(self.stem(x)))) * self.runs


def doubled(module: nn.Sequential, inputs: Tuple[Tensor], output: Tensor) -> Tensor:
    return output * 2


class Hooked(Base):
    """A hook that was scripted with the model."""

    def __init__(self) -> None:
        super().__init__()
        self.stem.register_forward_hook(doubled)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(self.stem(x))))


class WithMethods(Base):
    """Methods besides forward, and one that it gives to code outside."""

    def embed(self, x: Tensor) -> Tensor:
        return pooled(self.features(self.stem(x)))

    @torch.jit.export
    def classes(self, x: Tensor) -> Tensor:
        return self.forward(x).argmax(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.dropout(self.embed(x), 0.5, self.training))


class Siblings(Base):
    """Instances of one type with weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = conv(8, 8), conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(torch.relu(self.b(torch.tanh(self.a(self.stem(x))))))))


class Heavy(Base):
    """Weights of 1.4 MB, which are folded with those of batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Sequential(conv(8, 192), nn.BatchNorm2d(192), nn.ReLU(), conv(192, 192), nn.BatchNorm2d(192))
        self.narrow = conv(192, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.features(self.narrow(self.wide(self.stem(x))))))


NETS = {
    "shared_module": SharedModule,
    "tied_parameters": TiedParameters,
    "interfaces": Interfaces,
    "script_class": ScriptClass,
    "containers": Containers,
    "counting": Counting,
    "hooked": Hooked,
    "with_methods": WithMethods,
    "siblings": Siblings,
    "heavy": Heavy,
}


def grad_cam(model: nn.Module, x: Tensor) -> Tensor:
    seen: List[Tensor] = []
    handle = model.features.register_forward_hook(lambda module, inputs, output: seen.append(output))
    logits = model(x.clone())
    handle.remove()
    gradient = torch.autograd.grad(logits[:, 1].sum(), seen[0])[0]
    return (gradient.mean((2, 3), keepdim=True) * seen[0]).sum(1, keepdim=True).relu()


def first_that_shows_something(net: Callable[[], nn.Module], x: Tensor) -> Tuple[nn.Module, Tensor]:
    """Of those with random weights: a map that is all zero would agree with many a wrong one."""
    for seed in range(100):
        torch.manual_seed(seed)
        model = net().eval()
        cam = grad_cam(copy.deepcopy(model), x)  # a run may change the model
        if (cam.flatten(1).amax(1) > 0).all():
            return model, cam
    raise RuntimeError(f"all maps of {net.__name__} are zero")


def main(folder: str) -> None:
    store = Store(folder)
    x = seeded((2, 3, 16, 20), 1)
    nets = {}
    for name, net in NETS.items():
        model, cam = first_that_shows_something(net, x)
        torch.jit.script(model).save(str(Path(folder) / f"{name}.pt"))
        nets[name] = {"file": f"{name}.pt", "cam": store(cam)}
    (Path(folder) / "index.json").write_text(json.dumps({"input": store(x), "nets": nets}))


if __name__ == "__main__":
    main(sys.argv[1])
