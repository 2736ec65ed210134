"""Nets whose layers return several tensors, whose inputs are named or keyed in unusual ways, or that look at volumes and
signals, as TorchScript files, and what eager PyTorch makes of them.

    python3 test/python/part_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is always class 1.
"""

import sys
from contextlib import contextmanager
from typing import Dict, List, NamedTuple, Optional, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded

CLASS = 1


def features() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.ReLU())


def pooled(x: Tensor) -> Tensor:
    return x.mean([2, 3])


class Recurrent(nn.Module):
    """Reads an image row by row; the last state takes part in the output as well."""

    def __init__(self, kind) -> None:
        super().__init__()
        self.stem, self.cell, self.head = nn.Conv2d(3, 6, 4, 4), kind(6, 8, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        rows = self.stem(x).flatten(2).transpose(1, 2)
        out, state = self.cell(rows)
        last = state if isinstance(state, Tensor) else state[0]
        return self.head(torch.tanh(out).mean(1) + last[-1])


class DictLevels(nn.Module):
    """The second level is computed from the first."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 2, 1)

    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        a = self.a(x)
        return {"fine": a, "coarse": self.b(torch.tanh(a))}


class ListLevels(DictLevels):
    def forward(self, x: Tensor) -> List[Tensor]:
        a = self.a(x)
        return [a, self.b(torch.tanh(a))]


class Levels(NamedTuple):
    fine: Tensor
    both: Tuple[Tensor, int]


class NamedLevels(DictLevels):
    def forward(self, x: Tensor) -> Levels:
        a = self.a(x)
        return Levels(a, (self.b(torch.tanh(a)), 3))


class Pyramid(nn.Module):
    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, nn.Linear(12, 5)


class DictPyramid(Pyramid):
    def forward(self, x: Tensor) -> Tensor:
        levels = self.body(x)
        return self.head(torch.cat([pooled(torch.tanh(levels["fine"])), pooled(torch.tanh(levels["coarse"]))], 1))


class ListPyramid(Pyramid):
    def forward(self, x: Tensor) -> Tensor:
        levels = self.body(x)
        return self.head(torch.cat([pooled(torch.tanh(levels[0])), pooled(torch.tanh(levels[1]))], 1))


class NamedPyramid(Pyramid):
    def forward(self, x: Tensor) -> Tensor:
        levels = self.body(x)
        return self.head(torch.cat([pooled(torch.tanh(levels.fine)), pooled(torch.tanh(levels.both[0]))], 1))


class Sole(nn.Module):
    """Attention that returns no weights: one tensor, and None."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.attention, self.head = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        t = self.stem(x).flatten(2).transpose(1, 2)
        return self.head(torch.tanh(self.attention(t, t, t, need_weights=False)[0]).mean(1))


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head, self.extra = features(), nn.Linear(6, 5), nn.Linear(4, 5)

    def logits(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem(x)))


class Keywords(Base):
    def forward(self, x: Tensor, temperature: float = 1.0, mask: Optional[Tensor] = None, flip: bool = False) -> Tensor:
        if mask is not None:
            x = x * mask
        y = self.logits(x) / temperature
        return y.flip(1) if flip else y


class Given(NamedTuple):
    image: Tensor
    extra: Tensor


class NamedInput(Base):
    def forward(self, given: Given, scale: float = 1.0) -> Tensor:
        return (self.logits(given.image) + self.extra(given.extra)) * scale


class FloatKeys(Base):
    """Weights of scales: an input that is a dict with floats for keys."""

    def forward(self, x: Tensor, weights: Dict[float, Tensor]) -> Dict[float, Tensor]:
        found: Dict[float, Tensor] = {}
        for scale, weight in weights.items():
            found[scale] = self.logits(x * scale) * weight
        return found


class BoolKeys(Base):
    def forward(self, x: Tensor) -> Dict[bool, Tensor]:
        return {True: self.logits(x), False: x.mean([1, 2, 3])}


class TensorKeys(Base):
    def forward(self, x: Tensor) -> Dict[Tensor, Tensor]:
        return {torch.ones(1): self.logits(x)}


@torch.jit.script
class Answer:
    def __init__(self, logits: Tensor, name: str, weight: complex) -> None:
        self.logits = logits
        self.name = name
        self.weight = weight


class ObjectOutput(Base):
    def forward(self, x: Tensor) -> Tuple[Answer, int]:
        return Answer(self.logits(x), "first", 1 + 2j), 7


class ImageList(Base):
    """As torchvision's detectors take images: a list of them, each of its own size."""

    def forward(self, images: List[Tensor]) -> Tensor:
        rows: List[Tensor] = []
        for image in images:
            rows.append(self.logits(image.unsqueeze(0)))
        return torch.cat(rows)


class Volume(nn.Module):
    """float [N, 2, 8, 10, 12] to logits [N, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.last, self.head = nn.Conv3d(2, 4, 3, 1, 1), nn.BatchNorm3d(4), nn.Conv3d(4, 4, 3, 2, 1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.last(torch.relu(self.norm(self.stem(x)))))
        return self.head(x.mean([2, 3, 4]))


class Signal(nn.Module):
    """float [N, 2, 40] to logits [N, 5]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.last, self.head = nn.Conv1d(2, 4, 5, 1, 2), nn.BatchNorm1d(4), nn.Conv1d(4, 4, 5, 2, 2), nn.Linear(4, 5)
        self.after = nn.BatchNorm1d(5)  # of [N, C], which has no positions

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.last(torch.relu(self.norm(self.stem(x)))))
        return self.after(self.head(x.mean(2)))


def trained(model: nn.Module) -> nn.Module:
    """With statistics and biases as training leaves them."""
    for i, module in enumerate(model.modules()):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            n = module.num_features
            module.running_mean.copy_(seeded((n,), 40 + i) * 0.3)
            module.running_var.copy_(seeded((n,), 50 + i, kind="rand") + 0.5)
            with torch.no_grad():
                module.weight.copy_(1 + 0.2 * seeded((n,), 60 + i))
                module.bias.copy_(0.3 * seeded((n,), 70 + i))
    return model.eval()


def channels(weighted: Tensor) -> Tensor:
    return weighted.sum(1, keepdim=True)


def part_cam(model, layer, inputs, pick=lambda v: v, order=lambda t: t, of=lambda o: o):
    """Grad-CAM of one tensor of what a layer returns, with its negative values, by autograd alone: the tensor itself is
    differentiated by."""
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(pick(output)))
    try:
        score = of(model(*inputs))[:, CLASS].sum()
    finally:
        handle.remove()
    (g,) = torch.autograd.grad(score, [seen[-1]])
    a, g = order(seen[-1].detach()), order(g)
    spatial = tuple(range(2, a.dim()))
    return channels(g.mean(spatial, keepdim=True) * a)


def ablation(model, layer, inputs, pick, put, order):
    """The share of the score that each channel of one part holds, times the channel."""
    seen, replaced = [], []

    def hook(_module, _inputs, output):
        seen.append(pick(output).detach())
        return put(output, replaced[0]) if replaced else output

    handle = model.get_submodule(layer).register_forward_hook(hook)
    run = lambda: model(*inputs).detach()[:, CLASS]
    try:
        plain = run()
        a = seen[0]
        total = torch.zeros_like(order(a)[:, :1])
        for k in range(order(a).shape[1]):
            changed = a.clone()
            order(changed)[:, k] = 0  # a view of it
            replaced[:] = [changed]
            weight = (plain - run()) / plain
            total += weight.view(-1, *[1] * (total.dim() - 1)) * order(a)[:, k : k + 1]
    finally:
        handle.remove()
    return total


class GuidedRelu(torch.autograd.Function):
    """A ReLU that passes on what is positive in the gradient too: by a function of its own, not by hooks."""

    @staticmethod
    def forward(ctx, value):
        ctx.save_for_backward(value)
        return value.clamp(min=0)

    @staticmethod
    def backward(ctx, gradient):
        (value,) = ctx.saved_tensors
        return gradient * (value > 0) * (gradient > 0)


@contextmanager
def guided_relus():
    """The nets below call torch.relu: within this, it is a GuidedRelu."""
    relu, torch.relu = torch.relu, GuidedRelu.apply
    try:
        yield
    finally:
        torch.relu = relu


def guided(model, x):
    x = x.clone().requires_grad_()
    with guided_relus():
        return torch.autograd.grad(model(x)[:, CLASS].sum(), x)[0]


def normalised(t, dims):
    t = t - t.amin(dims, keepdim=True)
    return t / (t.amax(dims, keepdim=True) + 1e-7)


def full_grad(model, x, layers):
    """Equation 8 of arXiv:1905.00780: of convolutions the bias, of batch norms what they add to a zero."""
    spatial = tuple(range(2, x.dim()))
    seen, handles = {}, []
    for name in layers:
        hook = lambda _m, _i, output, name=name: seen.__setitem__(name, output)
        handles.append(model.get_submodule(name).register_forward_hook(hook))
    leaf = x.clone().requires_grad_()
    score = model(leaf)[:, CLASS].sum()
    for handle in handles:
        handle.remove()
    gradients = torch.autograd.grad(score, [leaf] + [seen[name] for name in layers])
    total = channels(normalised((x * gradients[0]).abs(), spatial))
    mode = {1: "linear", 2: "bilinear", 3: "trilinear"}[len(spatial)]
    for name, gradient in zip(layers, gradients[1:]):
        m = model.get_submodule(name)
        bias = m.bias
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            bias = m.bias - m.running_mean * m.weight / (m.running_var + m.eps).sqrt()
        evidence = (gradient * bias.view(1, -1, *[1] * len(spatial))).abs()
        total = total + F.interpolate(channels(normalised(evidence, spatial)), x.shape[2:], mode=mode, align_corners=False)
    return normalised(total, tuple(range(1, x.dim()))).detach()


def volume_values(model, x, layers):
    spatial = tuple(range(2, x.dim()))
    mode = {1: "linear", 3: "trilinear"}[len(spatial)]
    cam = part_cam(model, "last", [x]).relu()
    return {
        "cam": cam,
        "guided-gradcam": guided(model, x) * F.interpolate(cam, x.shape[2:], mode=mode, align_corners=False),
        "nearest": guided(model, x) * F.interpolate(cam, x.shape[2:], mode="nearest"),
        "fullgrad": full_grad(model, x, layers),
    }


def every_case():
    x = seeded((2, 3, 16, 24), 31)
    grid = lambda t: t.transpose(1, 2).reshape(t.shape[0], -1, 4, 6)
    as_view = lambda t: t.transpose(1, 2).unflatten(2, (4, 6))
    first = lambda output: output[0]
    for name, kind in (("lstm", nn.LSTM), ("gru", nn.GRU)):
        m = Recurrent(kind).eval()
        put = lambda output, changed: (changed, *output[1:])
        values = {"part 0": part_cam(m, "cell", [x], first, grid), "ablation": ablation(m, "cell", [x], first, put, as_view)}
        yield name, torch.jit.script(m), [x], values
        yield f"{name}-traced", torch.jit.trace(m, x), [x], values

    def put_fine(output, changed):
        return {**output, "fine": changed}

    m = DictPyramid(DictLevels()).eval()
    yield "dict-pyramid", torch.jit.script(m), [x], {
        "fine": part_cam(m, "body", [x], lambda v: v["fine"]),
        "coarse": part_cam(m, "body", [x], lambda v: v["coarse"]),
        "ablation of fine": ablation(m, "body", [x], lambda v: v["fine"], put_fine, lambda t: t),
    }
    m = ListPyramid(ListLevels()).eval()
    yield "list-pyramid", torch.jit.script(m), [x], {
        "fine": part_cam(m, "body", [x], first),
        "coarse": part_cam(m, "body", [x], lambda v: v[1]),
    }
    m = NamedPyramid(NamedLevels()).eval()
    yield "named-pyramid", torch.jit.script(m), [x], {
        "fine": part_cam(m, "body", [x], lambda v: v.fine),
        "coarse": part_cam(m, "body", [x], lambda v: v.both[0]),
    }
    m = Sole().eval()
    yield "sole", torch.jit.script(m), [x], {"attention": part_cam(m, "attention", [x], first, grid)}

    mask, extra = (seeded((2, 1, 16, 24), 32) > 0).float(), seeded((2, 4), 33)
    m = Keywords().eval()
    yield "keywords", torch.jit.script(m), [x, mask], {
        "alone": part_cam(m, "stem", [x]),
        "all": part_cam(m, "stem", [x, 2.0, mask, True]),
        "mask": part_cam(m, "stem", [x, 1.0, mask]),
    }
    m = NamedInput().eval()
    yield "named-input", torch.jit.script(m), [x, extra], {
        "plain": part_cam(m, "stem", [Given(x, extra)]),
        "scaled": part_cam(m, "stem", [Given(x, extra), -2.0]),
    }
    m = FloatKeys().eval()
    given = {0.5: torch.ones(1), 2.5: torch.full((1,), -0.5)}
    yield "float-keys", torch.jit.script(m), [x], {
        # The layer is called for each of the two: what is explained is the output of the first.
        "half": part_cam(m, "stem", [x, {0.5: given[0.5]}], of=lambda o: o[0.5]),
        "output of half": m(x, given)[0.5].detach(),
        "output of two": m(x, given)[2.5].detach(),
    }
    m = BoolKeys().eval()
    plain = {"stem": part_cam(m, "stem", [x], of=lambda o: o[True]), "logits": m.logits(x).detach()}
    yield "bool-keys", torch.jit.script(m), [x], plain
    for name, kind in (("tensor-keys", TensorKeys), ("object", ObjectOutput)):
        other = kind().eval()
        other.load_state_dict(m.state_dict())
        yield name, torch.jit.script(other), [x], plain
    m = ImageList().eval()
    yield "image-list", torch.jit.script(m), [x], {
        "stem": torch.cat([part_cam(m, "stem", [[image]]) for image in x]),
        "logits": m(list(x)).detach(),
    }

    volume = trained(Volume())
    v = seeded((2, 2, 8, 10, 12), 34)
    yield "volume", torch.jit.script(volume), [v], volume_values(volume, v, ["stem", "norm", "last"])
    signal = trained(Signal())
    s = seeded((2, 2, 40), 35)
    yield "signal", torch.jit.script(signal), [s], volume_values(signal, s, ["stem", "norm", "last"])


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
