"""Nets of several inputs, layers that run several times in a pass, and outputs whose steps come before the images, as TorchScript
files, and what eager PyTorch makes of them.

    python3 test/python/several_input_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is class 1.
"""

import sys
from typing import Dict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net_files import write_nets
from part_nets import CLASS, channels, guided_relus, normalised, pooled, trained
from tensors import seeded


class Encoder(nn.Module):
    """Code that runs for each image of a pair."""

    def __init__(self, inputs: int = 3) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inputs, 6, 3, 2, 1), nn.BatchNorm2d(6)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.norm(self.conv(x)))


class Pair(nn.Module):
    """The distance of two images, by one encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = Encoder(), nn.Linear(6, 5)

    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.head(pooled(self.encoder(left)) * 2 - pooled(self.encoder(right)))


class Depth(nn.Module):
    """Colours and depth, each by an encoder of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.colours, self.depth, self.head = Encoder(), Encoder(1), nn.Linear(6, 5)

    def forward(self, image: Tensor, depth: Tensor) -> Tensor:
        return self.head(pooled(self.colours(image)) + torch.tanh(pooled(self.depth(depth))))


class Queries(nn.Module):
    """How near each image is to each of any number of queries, as of an image and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.words = Encoder(), nn.Linear(4, 6)

    def forward(self, image: Tensor, queries: Tensor) -> Tensor:
        return pooled(self.encoder(image)) @ self.words(queries).t()


class Weighted(nn.Module):
    """Takes a row of the other input for each image, and any number of rows for one image."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.head = Encoder(), nn.Linear(6, 5)

    def forward(self, image: Tensor, weights: Tensor) -> Tensor:
        return self.head(pooled(self.encoder(image))) * weights


class Twice(nn.Module):
    """One layer, which runs twice on one image."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.again, self.head = Encoder(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(pooled(torch.relu(self.again(torch.relu(self.again(self.stem(x)))))))


class StepsFirst(nn.Module):
    """A score for each class at each column, [T, N, C]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = Encoder(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cumsum(self.stem(x).mean(2).permute(2, 0, 1), 0))


class StepsTable(StepsFirst):
    """One number for each column, [T, N]."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.cumsum(self.stem(x).mean(2).permute(2, 0, 1), 0))[:, :, 2]


class StepsPart(StepsFirst):
    """Beside features whose images come first."""

    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        f = self.stem(x)
        return {"features": f, "steps": self.head(torch.cumsum(f.mean(2).permute(2, 0, 1), 0))}


class Windows(nn.Module):
    """Its last layer sees the four quarters of each image as images of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.quarters, self.head = Encoder(), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        f = self.stem(x)
        n, c, h, w = f.shape
        q = f.view(n, c, 2, h // 2, 2, w // 2).permute(0, 2, 4, 1, 3, 5).reshape(-1, c, h // 2, w // 2)
        return self.head(torch.relu(self.quarters(q)).mean([2, 3]).view(n, 4, -1).amax(1))


class Heads(nn.Module):
    """Attention whose weights are asked for: its code names a dropout, which evaluation skips by a number."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.heads, self.out = nn.Conv2d(3, 8, 4, 4), nn.MultiheadAttention(8, 2, dropout=0.3, batch_first=True), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        t = self.stem(x).flatten(2).transpose(1, 2)
        return self.out(torch.tanh(self.heads(t, t, t, need_weights=True)[0]).mean(1))


class Keyed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head, self.extra = Encoder(), nn.Linear(6, 5), nn.Linear(4, 5)

    def forward(self, given: Dict[str, Tensor]) -> Tensor:
        return self.head(pooled(self.stem(given["image"]))) + self.extra(given["age"])


class View(nn.Module):
    """Its first convolution sees a part of the channels, or other dimensions."""

    def __init__(self, last) -> None:
        super().__init__()
        self.last, self.stem, self.head = last, Encoder(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        if self.last is not None:
            x = x.permute(0, 3, 1, 2) if self.last else x[:, :3]
        return self.head(pooled(self.stem(x)))


def outputs_at(model, layer, inputs):
    """What a layer returned, call by call, and the output."""
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    output = model(*inputs)
    handle.remove()
    return seen, output


def cam(model, layer, inputs, score, call=-1):
    seen, output = outputs_at(model, layer, inputs)
    activation = seen[call]
    gradient = torch.autograd.grad(score(output), activation)[0]
    return channels(gradient.mean((2, 3), keepdim=True) * activation).relu().detach()


def input_gradient(model, inputs, at):
    leaves = [x.clone().requires_grad_() if i == at else x for i, x in enumerate(inputs)]
    return torch.autograd.grad(model(*leaves)[:, CLASS].sum(), leaves[at])[0]


def guided_cam(model, layer, inputs, at, call):
    map = cam(model, layer, inputs, lambda y: y[:, CLASS].sum(), call)
    size = inputs[at].shape[2:]
    with guided_relus():
        gradient = input_gradient(model, inputs, at)
    return gradient * F.interpolate(map, size, mode="bilinear", align_corners=False)


def full_grad(model, inputs, at, calls):
    """Equation 8 of arXiv:1905.00780 for one of the inputs; `calls` are the (layer, call) that are computed from it."""
    leaves = [x.clone().requires_grad_() if i == at else x for i, x in enumerate(inputs)]
    seen, handles = {}, []
    for layer in {layer for layer, _ in calls}:
        hook = lambda _m, _i, output, layer=layer: seen.setdefault(layer, []).append(output)
        handles.append(model.get_submodule(layer).register_forward_hook(hook))
    score = model(*leaves)[:, CLASS].sum()
    for handle in handles:
        handle.remove()
    x = leaves[at]
    gradients = torch.autograd.grad(score, [x, *(seen[layer][call] for layer, call in calls)])
    total = channels(normalised((x * gradients[0]).abs(), (2, 3)))
    for (layer, _), gradient in zip(calls, gradients[1:]):
        m = model.get_submodule(layer)
        bias = m.bias
        if isinstance(m, nn.BatchNorm2d):
            bias = m.bias - m.running_mean * m.weight / (m.running_var + m.eps).sqrt()
        evidence = (gradient * bias.view(1, -1, 1, 1)).abs()
        evidence = channels(normalised(evidence, (2, 3)))
        total = total + F.interpolate(evidence, x.shape[2:], mode="bilinear", align_corners=False)
    return normalised(total, (1, 2, 3)).detach()


def every_case():
    a, b = seeded((2, 3, 16, 24), 41), seeded((2, 3, 16, 24), 42)
    both = ["encoder.conv", "encoder.norm"]
    pair = trained(Pair())
    values = {}
    for at in (0, 1):
        values[f"cam {at}"] = cam(pair, "encoder", [a, b], lambda y: y[:, CLASS].sum(), at)
        values[f"guided {at}"] = guided_cam(pair, "encoder", [a, b], at, at)
        values[f"fullgrad {at}"] = full_grad(pair, [a, b], at, [(layer, at) for layer in both])
        values[f"gradient {at}"] = input_gradient(pair, [a, b], at)
    yield "pair", torch.jit.script(pair), [a, b], values
    yield "pair-traced", torch.jit.trace(pair, (a, b)), [a, b], values

    depth, d = trained(Depth()), seeded((2, 1, 16, 24), 43)
    values = {"cam": cam(depth, "depth", [a, d], lambda y: y[:, CLASS].sum())}
    for at, name in enumerate(("colours", "depth")):
        values[f"fullgrad {at}"] = full_grad(depth, [a, d], at, [(f"{name}.{layer}", 0) for layer in ("conv", "norm")])
        values[f"guided {at}"] = guided_cam(depth, name, [a, d], at, 0)
    yield "depth", torch.jit.script(depth), [a, d], values

    five, three = seeded((5, 3, 16, 24), 47), seeded((3, 4), 48)
    queries = trained(Queries())
    yield "queries", torch.jit.script(queries), [five, three], {
        "cam": cam(queries, "encoder", [five, three], lambda y: y[:, CLASS].sum()),
        "gradient": input_gradient(queries, [five, three], 0),
    }
    weighted = trained(Weighted())
    yield "weighted", torch.jit.script(weighted), [five, seeded((3, 1), 49)], {}

    twice = trained(Twice())
    calls = [("stem.conv", 0), ("stem.norm", 0), ("again", 0), ("again", 1)]
    score = lambda y: y[:, CLASS].sum()
    yield "twice", torch.jit.script(twice), [a], {
        "fullgrad": full_grad(twice, [a], 0, calls),
        "call 0": cam(twice, "again", [a], score, 0),
        "call 1": cam(twice, "again", [a], score, 1),
    }

    faint = trained(Twice())
    with torch.no_grad():
        faint.head.weight.mul_(1e-5)
    yield "faint", torch.jit.script(faint), [a], {}

    # Two columns of the layer: as many steps as images.
    square = seeded((2, 3, 16, 4), 44)
    for name, kind in (("steps", StepsFirst), ("steps-table", StepsTable)):
        m = trained(kind())
        at_step = (lambda y: y[1, :, CLASS].sum()) if name == "steps" else (lambda y: y[1].sum())
        values = {"step 1": cam(m, "stem", [a], at_step), "square": cam(m, "stem", [square], at_step)}
        values["sum"] = cam(m, "stem", [a], lambda y: y.sum())
        yield name, torch.jit.script(m), [a, square], values
        yield f"{name}-traced", torch.jit.trace(m, a), [a, square], values
    m = trained(StepsPart())
    at_part = lambda y: y["steps"][1, :, CLASS].sum()
    yield "steps-part", torch.jit.script(m), [a, square], {
        "step 1": cam(m, "stem", [a], at_part),
        "square": cam(m, "stem", [square], at_part),
    }

    windows = trained(Windows())
    yield "windows", torch.jit.script(windows), [a], {"stem": cam(windows, "stem", [a], score)}
    yield "heads", torch.jit.script(trained(Heads())), [a], {}
    yield "keyed", torch.jit.script(trained(Keyed())), [a, seeded((2, 4), 45)], {}
    yield "view-of-four", torch.jit.script(trained(View(False))), [seeded((2, 4, 16, 24), 46)], {}
    # The same net without the step that moves the channels, and what it gives moved in the same way.
    last, plain = trained(View(True)), trained(View(None))
    plain.load_state_dict(last.state_dict())
    z = a.permute(0, 2, 3, 1).contiguous()
    map = cam(plain, "stem", [a], score)
    large = F.interpolate(normalised(map, (1, 2, 3)), (16, 24), mode="bilinear", align_corners=False)
    # Score-CAM upsamples masks with aligned corners, as pytorch-grad-cam does.
    masks = F.interpolate(plain.stem(a), (16, 24), mode="bilinear", align_corners=True)
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
    masks = (masks - low) / (high - low)
    weights = torch.stack([plain(a * masks[:, k : k + 1])[:, CLASS] for k in range(6)], 1).softmax(1)
    yield "channels-last", torch.jit.trace(last, z), [z], {
        "cam": map,
        "large": normalised(large, (1, 2, 3)),
        "guided": guided_cam(plain, "stem", [a], 0, 0).permute(0, 2, 3, 1),
        "masked": channels(weights[:, :, None, None] * plain.stem(a)).detach(),
    }


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
