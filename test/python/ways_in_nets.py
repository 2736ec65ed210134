"""Nets whose outputs, inputs and types are not those of a classifier of three channels in float32, as TorchScript files, and what
eager PyTorch makes of them.

    python3 test/python/ways_in_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}.
"""

import copy
import io
import itertools
import sys
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded


class Encoder(nn.Module):
    def __init__(self, outputs: int = 5, channels: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(channels, 6, 3, 2, 1), nn.ReLU())
        self.head = nn.Linear(6, outputs)


def pooled(x: Tensor) -> Tensor:
    return x.mean([2, 3])


class Nested(Encoder):
    """One tensor, in a tuple in a dict."""

    def forward(self, x: Tensor):
        return {"y": (self.head(pooled(self.stem(x))),)}


class Logits(Encoder):
    """Two tensors [N, C], one of them by the name that is taken."""

    def forward(self, x: Tensor):
        f = pooled(self.stem(x))
        return {"embedding": f * 2, "logits": self.head(f)}


class Found(NamedTuple):
    features: Tensor
    scores: Tensor
    boxes: Tensor


class Only(Encoder):
    """A named tuple with one tensor [N, C] among others."""

    def forward(self, x: Tensor):
        f = self.stem(x)
        return Found(f, self.head(pooled(f)), f.flatten(2))


class Heads(Encoder):
    """Two tensors [N, C], of which neither is the one."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.Linear(6, 3)

    def forward(self, x: Tensor):
        f = pooled(self.stem(x))
        return self.head(f), self.other(f)


class Branches(Encoder):
    """Two ways from the stem, each to a part of the output of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(6, 6, 1), nn.Conv2d(6, 6, 1)

    def forward(self, x: Tensor):
        f = self.stem(x)
        return self.head(pooled(self.left(f))), self.head(pooled(self.right(f)))


class Functional(nn.Module):
    """Has no layers: all code is in one module."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(seeded((5, 3, 3, 3), 6))

    def forward(self, x: Tensor) -> Tensor:
        return pooled(torch.relu(F.conv2d(x, self.weight)))


class Dense(Encoder):
    """Segmentation [N, C, H, W], with context beyond the layer's own positions."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Conv2d(6, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.classes(self.stem(x)), scale_factor=2.0)


class Sequence(Encoder):
    """A score for each class at each column, [N, T, C]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cumsum(self.stem(x).mean(2).transpose(1, 2), 1))


class Anchors(Encoder):
    """Boxes and classes at each position, [N, 4 + C, A]."""

    def __init__(self) -> None:
        super().__init__()
        self.each = nn.Conv2d(6, 7, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.each(self.stem(x)).flatten(2)


class Plain(Encoder):
    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem(x)))


class Scaled(Plain):
    """Scales its input before a grouped convolution: 8 channels, of which each filter sees 4."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(8, 6, 3, 2, 1, groups=2), nn.ReLU())
        self.register_buffer("middle", torch.full((1, 8, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem((x - self.middle) * 2)))


class Luma(Plain):
    """Takes three channels, although its first convolution takes one."""

    def __init__(self) -> None:
        super().__init__(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem(x.mean(1, keepdim=True))))


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Sequential(nn.Conv3d(2, 6, 3, 2, 1), nn.ReLU()), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).mean([2, 3, 4]))


class Signal(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Sequential(nn.Conv1d(2, 6, 5, 2, 2), nn.ReLU()), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).mean([2]))


class Guided(Encoder):
    """An image, what it is multiplied by, and a number."""

    def forward(self, scale: float, image: Tensor, mask: Tensor) -> Tensor:
        return self.head(pooled(self.stem(image * mask))) * scale


class Mixed(Plain):
    """A part of its own code is in float32, as a trace that was made with it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.head(pooled(self.stem(x))), torch.ones(5, 5, dtype=torch.float32))


class Elsewhere(Plain):
    """Makes a tensor on a device that it names."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem(x))) + torch.ones([5], device="cuda:0")


class Positions(Plain):
    """Has an embedding for each position of one input size."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Parameter(seeded((1, 6, 8, 12), 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(torch.relu(self.stem(x) + self.embedding)))


class Clamped(Encoder):
    """Its score does not depend on the image by a gradient, and it has a ReLU."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            return self.head(pooled(self.stem(x)))


def grad_cam(model, inputs, score, relu=True):
    seen = []
    hook = model.get_submodule("stem").register_forward_hook(lambda _m, _i, output: seen.append(output))
    with torch.enable_grad():
        inputs = [v.clone().requires_grad_() if isinstance(v, Tensor) and v.is_floating_point() else v for v in inputs]
        y = score(model(*inputs))
        gradient = torch.autograd.grad(y, seen[-1])[0]
    hook.remove()
    a, g = seen[-1].detach(), gradient
    if a.dtype in (torch.half, torch.bfloat16):
        a, g = a.float(), g.float()
    spatial = tuple(range(2, a.dim()))
    map_ = (g.mean(spatial, keepdim=True) * a).sum(1, keepdim=True)
    return map_.relu() if relu else map_


def input_gradient(model, x, score):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(score(model(x)), x)[0]


def covered_losses(m, x, window, stride):
    """What the score of class 1 loses where boxes are covered with zeros, in the mean of the boxes that hold a position; of all channels."""
    sizes = x.shape[2:]
    losses, boxes = torch.zeros(x.shape[:1] + sizes), torch.zeros(sizes)
    whole = m(x)[:, 1].detach()
    steps = [range(0, size - length + step, step) for size, length, step in zip(sizes, window, stride)]
    for corner in itertools.product(*steps):
        box = tuple(slice(at, at + length) for at, length in zip(corner, window))
        less = x.clone()
        less[(..., *box)] = 0
        losses[(slice(None), *box)] += (whole - m(less)[:, 1].detach()).view(-1, *[1] * len(sizes))
        boxes[box] += 1
    return (losses / boxes).unsqueeze(1)


def script(model):
    return torch.jit.script(model)


def trace(model, *inputs):
    return torch.jit.trace(model, inputs, strict=False, check_trace=False)


def every_case():
    x = seeded((2, 3, 16, 24), 1)
    for name, net, score in [
        ("nested", Nested(), lambda y: y["y"][0][:, 3]),
        ("logits", Logits(), lambda y: y["logits"][:, 3]),
        ("only", Only(), lambda y: y.scores[:, 3]),
    ]:
        m = net.eval()
        module = trace(m, x) if name == "nested" else script(m)
        yield name, module, [x], {"class 3": grad_cam(m, [x], lambda y, s=score: s(y).sum())}

    m = Heads().eval()
    top = m(x)[1].argmax(1)
    yield "heads", script(m), [x], {
        "class 2 of 1": grad_cam(m, [x], lambda y: y[1][:, 2].sum()),
        "top of 1": grad_cam(m, [x], lambda y: y[1].max(1).values.sum()),
        "tops": top,
    }

    yield "branches", script(Branches().eval()), [x], {}
    yield "functional", script(Functional().eval()), [x], {}

    m = Dense().eval()
    yield "dense", script(m), [x], {
        "all of 2": grad_cam(m, [x], lambda y: y[:, 2].sum()),
        "pixel": grad_cam(m, [x], lambda y: y[:, 2, 3, -1].sum()),
        "mean": grad_cam(m, [x], lambda y: -y[:, 1].mean(1).sum()),
        "scores": m(x)[:, 2].sum((1, 2)),
        "saliency": input_gradient(m, x, lambda y: y[:, 2].sum()).abs(),
    }

    m = Sequence().eval()
    yield "sequence", script(m), [x], {"step": grad_cam(m, [x], lambda y: y[:, 4, 1].sum())}

    m = Anchors().eval()
    yield "anchors", script(m), [x], {
        "best": grad_cam(m, [x], lambda y: y[:, 5].max(1).values.sum()),
        "minus best": grad_cam(m, [x], lambda y: -y[:, 5].max(1).values.sum(), relu=True),
    }

    m = Plain().eval()
    for dtype in (torch.half, torch.bfloat16, torch.double):
        own = copy.deepcopy(m).to(dtype)
        name = str(dtype)[len("torch.") :]
        yield name, trace(own, x.to(dtype)), [x], {"class 1": grad_cam(own, [x.to(dtype)], lambda y: y[:, 1].sum())}

    for name, channels in (("grey", 1), ("five", 5)):
        m = Plain(5, channels).eval()
        z = seeded((2, channels, 16, 24), 2)
        yield name, script(m), [z], {"class 1": grad_cam(m, [z], lambda y: y[:, 1].sum())}
    m = Scaled().eval()
    z = seeded((2, 8, 16, 24), 2)
    yield "scaled", trace(m, z), [z], {"class 1": grad_cam(m, [z], lambda y: y[:, 1].sum())}
    m = Luma().eval()
    yield "luma", trace(m, x), [x], {"class 1": grad_cam(m, [x], lambda y: y[:, 1].sum())}

    for name, m, z, window, stride in (
        ("volume", Volume(), seeded((1, 2, 8, 12, 10), 3), (3, 5, 4), (2, 3, 4)),
        ("signal", Signal(), seeded((1, 2, 64), 3), (9,), (4,)),
    ):
        m.eval()
        cube = (4,) * len(window)
        values = {
            "class 1": grad_cam(m, [z], lambda y: y[:, 1].sum()),
            "occlusion": covered_losses(m, z, window, stride),
            "occlusion of cubes": covered_losses(m, z, cube, [2] * len(cube)),
            "feature-ablation": covered_losses(m, z, window, window),
        }
        yield name, script(m), [z], values

    m, mask = Guided().eval(), seeded((1, 1, 16, 24), 4).sigmoid()
    others = {"class 1": [2.5, x, mask], "half": [0.5, x, mask], "class 1 masked": [2.5, x, mask * 0.5 + 0.25]}
    maps = {name: grad_cam(m, inputs, lambda y: y[:, 1].sum()) for name, inputs in others.items()}
    yield "guided", script(m), [x, mask], maps

    yield "mixed", script(Mixed().eval().half()), [x], {}
    yield "elsewhere", script(Elsewhere().eval()), [x], {}
    yield "positions", trace(Positions().eval(), x), [x], {}
    yield "detached", script(Clamped().eval()), [x], {}


def rewritten(whole, edit):
    """An archive with other text of code, or another version; `edit` returns None for what is left out."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(result, "w") as target:
        for entry in source.namelist():
            content = edit(entry, source.read(entry))
            if content is not None:
                target.writestr(entry, content)
    return result.getvalue()


class Unscriptable(Encoder):
    """Cannot be saved: it calls Python."""

    @torch.jit.ignore
    def python(self, x: Tensor) -> Tensor:
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.python(self.stem(x))


def half_written(folder):
    """What failed exports leave."""
    try:
        script(Unscriptable()).save(str(folder / "half-script.pt"))
        raise AssertionError("it was saved")
    except RuntimeError:
        pass
    broken = Plain()
    broken.call = lambda x: x
    try:
        torch.save(broken, folder / "half-save.pt")
        raise AssertionError("it was saved")
    except AttributeError:
        pass


def unusable(folder):
    """Files that are whole, and hold what LibTorch does not have."""
    buffer = io.BytesIO()
    torch.jit.save(script(Plain().eval()), buffer)
    whole = buffer.getvalue()

    def in_code(before, after):
        def edit(name, content):
            if "/code/" in name and name.endswith(".py"):
                text = content.decode()
                return text.replace(before, after, 1).encode()
            return content

        return rewritten(whole, edit)

    def member(of):
        return in_code("  __buffers__ = []\n", f"  __buffers__ = []\n  held : {of}\n")

    files = {
        "needs-operator": in_code("torch.mean(", "ops.somebodys.mean("),
        "mobile": in_code("torch.mean(", "ops.prepacked.conv2d_clamp_run("),
        "engine": member("__torch__.torch.classes.tensorrt.Engine"),
        "needs-class": member("__torch__.torch.classes.somebodys.Tokenizer"),
        "newer": rewritten(whole, lambda name, content: b"9999\n" if name.endswith("/version") else content),
    }
    for name, content in files.items():
        (folder / f"{name}.pt").write_bytes(content)
    return [*files, "half-script", "half-save"]


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    half_written(folder)
    write_nets(folder, every_case, unusable(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
