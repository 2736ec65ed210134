"""Nets with features in unusual dimensions, with complex numbers, without classes, and programs that return nested values, and what
eager PyTorch makes of them.

    python3 test/python/user_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is class 1 of what is explained.
"""

import sys
import warnings

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net_files import write_nets
from part_nets import part_cam
from tensors import seeded

CLASS = 1


class Speech(nn.Module):
    """A signal [N, 2, L] whose scores are of each step, [N, T, C]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.read = nn.Conv1d(2, 6, 5, 2, 2), nn.LayerNorm(6), nn.LSTM(6, 8, batch_first=True, bidirectional=True)
        self.mix, self.head = nn.Linear(16, 10), nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        y, _ = self.read(self.norm(self.stem(x).transpose(1, 2)))
        return self.head(torch.tanh(self.mix(y)))


class Block(nn.Module):
    """Says by its parameters alone that features come last."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(features), nn.Sequential(nn.Linear(features, 7), nn.GELU(), nn.Linear(7, features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class LastVolume(nn.Module):
    """[N, 1, D, H, W], inside [N, d, h, w, C]."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.block, self.head = nn.Conv3d(1, 6, 2, 2), Block(6), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.block(self.patch(x).permute(0, 2, 3, 4, 1))).mean([1, 2, 3]))


class LastImage(nn.Module):
    """[N, h, w, C] with about as many features as columns: its last two dimensions are in the proportions of the image, too."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.block, self.head = nn.Conv2d(3, 8, 4, 4), Block(8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.block(self.patch(x).permute(0, 2, 3, 1))).mean([1, 2]))


class LinearNorm(nn.Module):
    """A linear layer whose normalisation sees tokens and images as one batch, as LeViT has them."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.linear, self.bn = nn.Linear(features, features), nn.BatchNorm1d(features)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.linear(x).flatten(0, 1)).reshape_as(x)


class PreNorm(nn.Module):
    """A normalisation with the branch that comes after it."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.norm, self.branch = nn.LayerNorm(features), nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(torch.tanh(self.norm(x)))


class Branched(nn.Module):
    """Tokens to which branches are added, in layers that are called norms."""

    def __init__(self, branch) -> None:
        super().__init__()
        self.patch, self.head = nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 5)
        self.blocks = nn.Sequential(Residual(branch(8)), Residual(branch(8)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.blocks(self.patch(x).flatten(2).transpose(1, 2))).mean(1))


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


class Columns(nn.Module):
    """[N, C, h, 1]: channels and rows are by chance in the proportions of the image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.columns, self.head = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 5, (3, 12), (1, 1), (1, 0)), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.columns(torch.relu(self.stem(x)))).mean([2, 3]))


class Gate(nn.Module):
    """Squeeze and excite by linear layers, of as many features as there are columns."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(8, 12), nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean([2, 3]))))).unsqueeze(-1).unsqueeze(-1)


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate, self.head = nn.Conv2d(3, 8, 3, 2, 1), Gate(), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.gate(self.stem(x))).mean([2, 3]))


class Stage(nn.Module):
    """As ConvNeXt's: its linear layer sees [N, h, w, C], whose last two sizes look like a finer grid."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise, self.linear = nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Linear(8, 18)
        self.act, self.back = nn.GELU(), nn.Linear(18, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.back(self.act(self.linear(self.depthwise(x).permute(0, 2, 3, 1)))).permute(0, 3, 1, 2)


class Staged(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down, self.stage, self.head = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 2, 2), Stage(), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.stage(self.down(torch.tanh(self.stem(x))))).mean([2, 3]))


class Spectrum(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.fft.rfft2(x)


class Filtered(nn.Module):
    """Its second layer returns complex numbers, and where `whole` is set the model does."""

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self.stem, self.spectrum, self.head, self.whole = nn.Conv2d(3, 6, 3, 2, 1), Spectrum(), nn.Linear(6, 5), whole

    def forward(self, x: Tensor) -> Tensor:
        y = self.head(self.spectrum(torch.relu(self.stem(x))).abs().mean([2, 3]))
        return y * 1j if self.whole else y


class Parts(nn.Module):
    def __init__(self, classes: int = 5, returned=None) -> None:
        super().__init__()
        self.stem, self.kept, self.relu = nn.Conv2d(3, 6, 3, 2, 1), nn.Identity(), nn.ReLU()
        self.head, self.other, self.returned = nn.Linear(6, classes), nn.Linear(6, 5), returned

    def forward(self, x):
        f = self.relu(self.kept(self.stem(x)))
        y = self.head(f.mean([2, 3]))
        return y if self.returned is None else self.returned(y, self.other(f.mean([2, 3])), f)


class Baked(nn.Module):
    """Traced for one image: the sizes of several do not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 4, 4, 4), nn.Linear(96, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.stem(x)).reshape(int(x.shape[0]), -1))


def quantized() -> torch.jit.ScriptModule:
    class Quantized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.quant, self.stem = torch.ao.quantization.QuantStub(), nn.Conv2d(3, 6, 3, 2, 1)
            self.dequant, self.last, self.head = torch.ao.quantization.DeQuantStub(), nn.Conv2d(6, 6, 1), nn.Linear(6, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.relu(self.last(self.dequant(self.stem(self.quant(x))))).mean([2, 3]))

    m = Quantized().eval()
    torch.backends.quantized.engine = "fbgemm" if "fbgemm" in torch.backends.quantized.supported_engines else "qnnpack"
    m.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
    m.last.qconfig = m.head.qconfig = None
    torch.ao.quantization.prepare(m, inplace=True)
    m(seeded((1, 3, 16, 24), 41))
    torch.ao.quantization.convert(m, inplace=True)
    return torch.jit.script(m)


class Weighted(nn.Module):
    """Its parts may be so large that float16 overflows after the stem, or its head may speak against every feature."""

    def __init__(self, scale: float = 1, against: bool = False) -> None:
        super().__init__()
        self.stem, self.last, self.head = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU()), nn.Conv2d(6, 6, 1), nn.Linear(6, 5)
        with torch.no_grad():
            self.last.weight.mul_(scale)
            if against:
                self.head.weight.abs_().neg_()

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.last(self.stem(x))).mean([2, 3]))


# What a program returns, and which part of it is explained.
RETURNED = {
    "mixed-dict": (lambda y, z, f: {"main": z, "levels": [f, f * 2], "pair": (y, f)}, lambda o: o["pair"][0]),
    "dict-of-lists": (lambda y, z, f: {"aux": [z], "main": [y, z]}, lambda o: o["main"][0]),
    "deep-dict": (lambda y, z, f: {"a": {"b": {"c": y}, "d": z}, "e": None, "f": 8}, lambda o: o["a"]["b"]["c"]),
    "list-of-dicts": (lambda y, z, f: [{"z": z, "f": f}, {"y": [y]}], lambda o: o[1]["y"][0]),
    "hidden-states": (lambda y, z, f: {"logits": y, "hidden_states": (f, f * 2)}, lambda o: o["logits"]),
}


def every_case():
    warnings.filterwarnings("ignore")
    signal = seeded((2, 2, 40), 42)
    m = Speech().eval()
    step = lambda o: o[:, 3]
    yield "speech", torch.jit.script(m), [signal], {
        "stem": part_cam(m, "stem", [signal], of=step).relu(),
        "mix": part_cam(m, "mix", [signal], order=lambda t: t.transpose(1, 2), of=step).relu(),
    }
    volume = seeded((2, 1, 8, 12, 16), 43)
    m = LastVolume().eval()
    last = lambda t: t.permute(0, 4, 1, 2, 3)
    yield "last-volume", torch.jit.script(m), [volume], {"block": part_cam(m, "block", [volume], order=last).relu()}
    x = seeded((2, 3, 16, 24), 44)
    m = LastImage().eval()
    last = lambda t: t.permute(0, 3, 1, 2)
    yield "last-image", torch.jit.trace(m, x), [x], {"block": part_cam(m, "block", [x], order=last).relu()}
    wide = seeded((2, 3, 16, 24), 45)
    m = Columns().eval()
    yield "columns", torch.jit.script(m), [wide], {"columns": part_cam(m, "columns", [wide]).relu()}
    grid = lambda t: t.transpose(1, 2).unflatten(2, (4, 6))
    for name, branch, layer in (("linear-norm", LinearNorm, "blocks"), ("pre-norm", PreNorm, "blocks.1.branch.norm")):
        m = Branched(branch).eval()
        yield name, torch.jit.trace(m, x), [x], {layer: part_cam(m, layer, [x], order=grid).relu()}

    m = Gated().eval()
    yield "gated", torch.jit.script(m), [x], {"gate": part_cam(m, "gate", [x]).relu()}

    m = Staged().eval()
    yield "staged", torch.jit.script(m), [x], {"stage": part_cam(m, "stage", [x]).relu(), "stem": part_cam(m, "stem", [x]).relu()}

    m = Filtered(whole=False).eval()
    yield "filtered", torch.jit.script(m), [x], {"stem": part_cam(m, "stem", [x]).relu()}
    yield "complex-scores", torch.jit.script(Filtered(whole=True).eval()), [x], {}
    yield "quantized", quantized(), [x], {}
    yield "no-classes", torch.jit.trace(Parts(classes=0).eval(), x), [x], {}
    yield "baked", torch.jit.trace(Baked().eval(), x[:1], check_trace=False), [x], {}
    m = Weighted(1e6).half().eval()
    y = m(x.half())
    assert not y[:, CLASS].isfinite().any()
    yield "overflow", torch.jit.script(m), [x], {}
    m = Weighted(against=True).eval()
    (gradient,) = torch.autograd.grad(m(leaf := x.clone().requires_grad_())[:, CLASS].sum(), leaf)
    yield "against", torch.jit.script(m), [x], {"gradient": gradient}
    for name, (returned, part) in RETURNED.items():
        m = Parts(returned=returned).eval()
        yield name, torch.export.export(m, (x,)), [x], {"stem": part_cam(m, "stem", [x], of=part).relu()}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
