"""Nets that treat images, batches or their own state in unusual ways, as TorchScript files, and what eager PyTorch makes
of them.

    python3 test/python/unusual_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is always class 1.
"""

import copy
import sys

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded

CLASS = 1


def features(channels: int = 6) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1), nn.ReLU())


def pooled(x: Tensor) -> Tensor:
    return x.mean([2, 3])


class Windows(nn.Module):
    """`inner` sees four windows of each image as images of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.head = features(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        n, c, h, w = x.shape
        parts = x.view(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 1, 3, 5).reshape(n * 4, c, h // 2, w // 2)
        return self.head(torch.relu(self.inner(parts)).mean([2, 3]).view(n, 4, c).mean(1))


class Baked(nn.Module):
    """Traced for one image: several become one row."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.stem(x).transpose(0, 1).reshape(6, int(x.shape[0]), -1).mean(2).transpose(0, 1))


class Contrast(nn.Module):
    """Depends on the mean over the batch, with a row for each image."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x * 2 - x.mean(0, keepdim=True))


class Mixing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.contrast, self.head = features(), Contrast(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.contrast(self.stem(x))))


class Squeezed(nn.Module):
    """Gives [C] for one image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem(x))).squeeze()


class Averager(nn.Module):
    """Remembers a moving average, through a view of a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(2, 6))

    def forward(self, x: Tensor) -> Tensor:
        row = self.seen[0]
        row.mul_(0.5).add_(x.detach().mean([0, 2, 3]))
        return x + self.seen[0].view(1, -1, 1, 1)


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.average, self.last = features(), Averager(), nn.Conv2d(6, 6, 3, 1, 1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(torch.relu(self.last(self.average(self.stem(x))))))


class Listing(nn.Module):
    """Keeps a list of what it has seen."""

    past: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last, self.head = features(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)
        self.past = []

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        self.past.append(x.detach().mean())
        return self.head(pooled(torch.relu(self.last(x * float(len(self.past))))))


class Packed:
    """What detectors do with their images: an object that each run makes, and sets attributes of."""

    def __init__(self, values: Tensor, scale: float) -> None:
        self.values = values
        self.scale = scale

    def doubled(self) -> None:
        self.scale = self.scale * 2.0


class Packing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last, self.head = features(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        packed = Packed(self.stem(x), 1.5)
        packed.doubled()
        return self.head(pooled(torch.relu(self.last(packed.values * packed.scale))))


class Keeping(nn.Module):
    """The same object, made once: a run changes it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last, self.head = features(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)
        self.packed = Packed(torch.zeros(1), 0.75)

    def forward(self, x: Tensor) -> Tensor:
        self.packed.doubled()
        return self.head(pooled(torch.relu(self.last(self.stem(x) * self.packed.scale))))


class Forking(nn.Module):
    """Runs one module on two scales, each forked."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        large = torch.jit.fork(self.stem, x)
        small = torch.jit.fork(self.stem, F.avg_pool2d(x, 2))
        return self.head(torch.cat([pooled(torch.jit.wait(large)), pooled(torch.jit.wait(small))], 1))


class ForkingList(nn.Module):
    """The same, with the futures in a list, and a layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.after, self.head = features(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        futures = [torch.jit.fork(self.stem, x * float(i + 1)) for i in range(3)]
        total = torch.jit.wait(futures[0])
        for i in range(1, 3):
            total = total + torch.jit.wait(futures[i]) * float(i)
        return self.head(pooled(torch.relu(self.after(total))))


class TwoHeads(nn.Module):
    """One of its two ways from the layer to the output is to be quantized."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.plain, self.other = features(), nn.Linear(6, 5), nn.Sequential(nn.Linear(6, 5))

    def forward(self, x: Tensor) -> Tensor:
        y = pooled(self.stem(x))
        return self.plain(y) + self.other(y)


class Training(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.drop, self.head = features(), nn.BatchNorm2d(6), nn.Dropout(0.5), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.drop(pooled(torch.relu(self.norm(self.stem(x))))))


class Noisy(nn.Module):
    """Adds noise by its own code."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.head(pooled(y + torch.randn_like(y)))


class Ending(nn.Module):
    """`scale` is how sure of itself it is."""

    def __init__(self, ending: nn.Module, scale: float) -> None:
        super().__init__()
        self.stem, self.head, self.ending, self.scale = features(), nn.Linear(6, 5), ending, scale

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.head(pooled(self.stem(x))) * self.scale)


class Dead(nn.Module):
    """`stem` gives zeros, `last` a score without a gradient for images that are dark."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(6, 5)
        nn.init.constant_(self.stem[0].bias, -50.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(self.stem(x)))


class Tokens(nn.Module):
    """[N, 2 + h w, C]: two tokens that are not patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm, self.mix, self.head = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8), nn.Linear(26, 26), nn.Linear(8, 5)
        self.special = nn.Parameter(seeded((1, 2, 8), 7))

    def forward(self, x: Tensor) -> Tensor:
        t = self.patch(x).flatten(2).transpose(1, 2)
        t = self.norm(torch.cat([self.special.expand(t.size(0), -1, -1), t], 1))
        return self.head(torch.tanh(self.mix(t.transpose(1, 2))).mean(2))


class ChannelsLast(nn.Module):
    """[N, h, w, C], with more channels than rows."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm, self.head = nn.Conv2d(3, 24, 4, 4), nn.LayerNorm(24), nn.Linear(24, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.norm(self.patch(x).permute(0, 2, 3, 1))).mean([1, 2]))


class Pair(nn.Module):
    """Compares two images by one encoder; the first input is no image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = features(), nn.Linear(15, 5)

    def forward(self, numbers: Tensor, a: Tensor, b: Tensor) -> Tensor:
        return self.head(torch.cat([numbers, pooled(self.stem(a)), torch.tanh(pooled(self.stem(b)))], 1))


def grad_cam(model, layer, inputs, call=-1, order=None):
    """max(sum_k mean(G_k) A_k, 0), from a forward hook and autograd.grad."""
    seen = []

    def hook(_module, _inputs, output):
        output = output.clone() if output.requires_grad else output.clone().requires_grad_()
        seen.append(output)
        return output

    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        out = model(*inputs)
        score = out[CLASS] if out.dim() == 1 else out[:, CLASS].sum()
        a, (g,) = seen[call], torch.autograd.grad(score, [seen[call]])
    finally:
        handle.remove()
    if order:
        a, g = order(a), order(g)
    return (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu().detach()


def input_gradient(model, inputs, at):
    x = inputs[at].clone().requires_grad_()
    given = [x if i == at else value for i, value in enumerate(inputs)]
    return torch.autograd.grad(model(*given)[:, CLASS].sum(), x)[0]


def integrated(model, x, steps=20):
    # Golub and Welsch: the points of Gauss and Legendre are the eigenvalues of a matrix.
    k = torch.arange(1, steps, dtype=torch.float64)
    points, vectors = torch.linalg.eigh(torch.diag(k / (4 * k * k - 1).sqrt(), 1) + torch.diag(k / (4 * k * k - 1).sqrt(), -1))
    weights = 2 * vectors[0] ** 2
    total = torch.zeros_like(x)
    for point, weight in zip((points + 1) / 2, weights / 2):
        total += float(weight) * input_gradient(model, [x * float(point)], 0)
    return total * x


def occlusion(model, inputs, at, side):
    """Windows side by side, covered with zeros, one run each; and the scores that these are differences of."""
    x, lost = inputs[at], torch.zeros_like(inputs[at])
    run = lambda changed: model(*[changed if i == at else v for i, v in enumerate(inputs)]).detach()[:, CLASS]
    plain = run(x)
    for i in range(0, x.shape[2], side):
        for j in range(0, x.shape[3], side):
            changed = x.clone()
            changed[..., i : i + side, j : j + side] = 0
            lost[..., i : i + side, j : j + side] += (plain - run(changed)).view(-1, 1, 1, 1)
    return {"occlusion": lost, "scores": plain}


def stateful(name, m, one):
    scripted = torch.jit.script(m)  # with the state of now
    before = copy.deepcopy(m)
    fresh = lambda: copy.deepcopy(before)
    return name, scripted, [one], {
        "first": grad_cam(fresh(), "last", [one]),
        "second run": (lambda net: (net(one), net(one))[1])(fresh()).detach(),
        **occlusion(lambda v: fresh()(v), [one], 0, 8),
    }


def every_case():
    x = seeded((2, 3, 16, 16), 11)
    one = x[:1]
    m = Windows().eval()
    yield "windows", torch.jit.script(m), [x], {"stem": grad_cam(m, "stem", [x])}

    m = Baked().eval()
    alone = torch.cat([grad_cam(m, "stem", [x[i : i + 1]]) for i in range(2)])
    yield "baked", torch.jit.trace(m, one, check_trace=False), [x], {
        "stem": alone,
        "ig": integrated(m, one),
        **occlusion(m, [one], 0, 8),
    }

    m = Mixing().eval()
    yield "mixing", torch.jit.script(m), [x], {
        "both": grad_cam(m, "stem", [x]),
        "alone": torch.cat([grad_cam(m, "stem", [x[i : i + 1]]) for i in range(2)]),
        "ig": integrated(m, one),
        **occlusion(m, [one], 0, 8),
    }

    m = Squeezed().eval()
    yield "squeezed", torch.jit.script(m), [x], {"one": grad_cam(m, "stem", [one]), "both": grad_cam(m, "stem", [x])}

    for name, kind in (("remembering", Remembering), ("listing", Listing)):
        yield stateful(name, kind().eval(), one)

    m = Forking().eval()
    yield "forking", torch.jit.script(m), [x], {
        "first": grad_cam(m, "stem", [x], call=0),
        "last": grad_cam(m, "stem", [x], call=1),
    }
    m = ForkingList().eval()
    yield "forking-list", torch.jit.script(m), [x], {
        "last": grad_cam(m, "stem", [x], call=2),
        "after": grad_cam(m, "after", [x]),
    }

    m = TwoHeads().eval()
    yield "float-heads", torch.jit.script(m), [x], {"stem": grad_cam(m, "stem", [x])}
    m.other = torch.ao.quantization.quantize_dynamic(m.other, {nn.Linear}, dtype=torch.qint8)
    yield "quantized-head", torch.jit.script(m), [x], {}

    m = Training().train()
    yield "training", torch.jit.trace(m, x, check_trace=False), [x], {}
    yield "evaluated", torch.jit.trace(m.eval(), x), [x], {"norm": grad_cam(m, "norm", [x])}
    yield "noisy", torch.jit.script(Noisy().eval()), [x], {}

    m = Ending(nn.Softmax(dim=1), 1.0).eval()
    yield "softmax", torch.jit.script(m), [x], {"output": m(x).detach(), "stem": grad_cam(m, "stem", [x])}
    m = Ending(nn.Softmax(dim=1), 1e4).eval()
    yield "saturated", torch.jit.script(m), [x], {"output": m(x).detach()}
    yield "saturated-traced", torch.jit.trace(m, x), [x], {}
    m = Ending(nn.Sigmoid(), 1.0).eval()
    yield "sigmoid", torch.jit.script(m), [x], {"output": m(x).detach()}
    yield "dead", torch.jit.script(Dead().eval()), [x], {}

    m = Tokens().eval()
    large = seeded((2, 3, 16, 24), 12)
    grid = lambda t: t[:, 2:].transpose(1, 2).reshape(t.shape[0], -1, 4, 6)
    yield "tokens", torch.jit.script(m), [large], {"norm": grad_cam(m, "norm", [large], order=grid)}
    m = ChannelsLast().eval()
    yield "channels-last", torch.jit.script(m), [large], {
        "norm": grad_cam(m, "norm", [large], order=lambda t: t.permute(0, 3, 1, 2))
    }

    m = Pair().eval()
    inputs = [seeded((2, 3), 13), x, seeded((2, 3, 16, 16), 14)]
    yield "pair", torch.jit.script(m), inputs, {
        "first": grad_cam(m, "stem", inputs, call=0),
        "last": grad_cam(m, "stem", inputs, call=1),
        "gradient of a": input_gradient(m, inputs, 1),
        "gradient of b": input_gradient(m, inputs, 2),
        **occlusion(m, inputs, 2, 8),  # of b
    }

    m = Packing().eval()
    yield "packing", torch.jit.script(m), [one], {"stem": grad_cam(m, "stem", [one]), "last": grad_cam(m, "last", [one])}
    yield stateful("keeping", Keeping().eval(), one)


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
