"""Nets that return one number, decisions or no tensor, that were traced for a batch of three, whose gradients cancel, and that take
tokens, volumes or a table beside the image, and what eager PyTorch makes of them.

    python3 test/python/hard_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is class 1, or all that is returned.
"""

import sys
import warnings
from typing import Dict, Tuple

import torch
from torch import Tensor, nn

from net_files import write_nets
from part_nets import ablation, part_cam
from tensors import seeded

CLASS = 1
STEPS = 4
WINDOW = (8, 6)


class Encoder(nn.Module):
    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.stem, self.last, self.head = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 6, 3, 1, 1), nn.Linear(6, classes)

    def logits(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.last(torch.relu(self.stem(x)))).mean([2, 3]))

    def forward(self, x: Tensor):
        return self.logits(x)


class Squeezed(Encoder):
    """A number without dimensions for one image."""

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x).squeeze()


class Loss(Encoder):
    """A number without dimensions for any number of images."""

    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x).pow(2).mean()


class Decided(Encoder):
    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x).argmax(1)


class Flagged(Encoder):
    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x) > 0


class Beside(Encoder):
    """Decisions beside what they were made of."""

    def forward(self, x: Tensor) -> Dict[str, Tensor]:
        y = self.logits(x)
        return {"label": y.argmax(1, keepdim=True), "certainty": y}


class Number(Encoder):
    def forward(self, x: Tensor) -> float:
        return float(self.logits(x).sum())


class Texts(Encoder):
    def forward(self, x: Tensor) -> Tuple[str, int]:
        return "class", int(self.logits(x)[0].argmax())


class OfThree(Encoder):
    """Traced with three images, whose number its code then holds: it does not run on one, or has three rows for one, too."""

    def __init__(self, runs_on_one: bool) -> None:
        super().__init__()
        self.sizes = (6, -1) if runs_on_one else (6, 96)

    def forward(self, x: Tensor) -> Tensor:
        f = torch.relu(self.last(torch.relu(self.stem(x))))
        return self.head(f.reshape(int(x.shape[0]), *self.sizes).mean(2))


class MixedThree(OfThree):
    """The same, and what it returns for an image depends on the other two."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y * (1 + y.mean(0, keepdim=True))


class RandomThree(OfThree):
    """The same with dropout, of which each run draws another mask."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(x, 0.5, True))


class Candidates(Encoder):
    """Three rows for the first image, whatever comes after it, as the candidates of a detector are."""

    def forward(self, x: Tensor) -> Tensor:
        f = torch.relu(self.last(torch.relu(self.stem(x[:1]))))
        return self.head(f.reshape(6, 3, -1).mean(2).t())


class Normalised(nn.Module):
    """Each channel is normalised by its own mean over space."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.stem = (nn.Conv2d if dims == 2 else nn.Conv3d)(3, 6, 3, 2, 1)
        self.norm = nn.InstanceNorm2d(6, affine=True) if dims == 2 else nn.GroupNorm(6, 6)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.norm(self.stem(x))).flatten(2).mean(2))


class Tokens(nn.Module):
    """Whole numbers, by which rows of a table are looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.mix, self.head = nn.Embedding(30, 8), nn.Conv1d(8, 6, 3, 1, 1), nn.Linear(6, 5)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.relu(self.mix(self.table(ids).transpose(1, 2))).mean(2))


class Tabled(Encoder):
    """A table before the image."""

    def __init__(self) -> None:
        super().__init__()
        self.columns = nn.Linear(4, 5)

    def forward(self, table: Tensor, image: Tensor) -> Tensor:
        return self.logits(image) * torch.tanh(self.columns(table))


class ChannelsLast(Encoder):
    def forward(self, x: Tensor) -> Tensor:
        return self.logits(x.permute(0, 3, 1, 2))


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.last, self.head = nn.Conv3d(1, 4, 3, 2, 1), nn.Conv3d(4, 4, 3, 1, 1), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.relu(self.last(torch.relu(self.stem(x)))).mean([2, 3, 4]))


def whole(y: Tensor) -> Tensor:
    """A number as a row of classes, each of which it is."""
    return y.expand(1, CLASS + 1)


def score(y: Tensor) -> Tensor:
    return y[:, CLASS]


def gradient(run, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    return torch.autograd.grad(run(leaf).sum(), leaf)[0]


def gauss_legendre(count: int) -> list:
    """Points and weights on [0, 1], by the eigenvalues of the Jacobi matrix (Golub and Welsch)."""
    k = torch.arange(1, count, dtype=torch.float64)
    beside = k / (4 * k**2 - 1).sqrt()
    points, vectors = torch.linalg.eigh(torch.diag(beside, 1) + torch.diag(beside, -1))
    return list(zip(((points + 1) / 2).tolist(), (vectors[0] ** 2).tolist()))


def integrated(run, x: Tensor) -> Tensor:
    return x * sum(weight * gradient(run, x * point) for point, weight in gauss_legendre(STEPS))


def occluded(run, x: Tensor) -> Tensor:
    """Windows side by side, each replaced by zeros."""
    found, whole = torch.zeros_like(x), run(x).detach()
    for top in range(0, x.shape[2], WINDOW[0]):
        for left in range(0, x.shape[3], WINDOW[1]):
            at = (..., slice(top, top + WINDOW[0]), slice(left, left + WINDOW[1]))
            covered = x.clone()
            covered[at] = 0
            found[at] = (whole - run(covered).detach()).view(-1, 1, 1, 1)
    return found


def score_cam(m: Encoder, x: Tensor) -> Tensor:
    """Wang et al. 2020: channels as masks of the input, weighed by the softmax of the scores under them."""
    f = torch.relu(m.stem(x)).detach()
    masks = nn.functional.interpolate(f, x.shape[2:], mode="bilinear", align_corners=True)
    low, high = masks.amin((2, 3), keepdim=True), masks.amax((2, 3), keepdim=True)
    masks = (masks - low) / (high - low)
    scores = torch.stack([score(m(x * masks[:, k : k + 1])) for k in range(f.shape[1])], 1).detach()
    return (scores.softmax(1)[:, :, None, None] * f).sum(1, keepdim=True).relu()


class StemRelu(nn.Module):
    """The stem with its ReLU as one layer."""

    def __init__(self, stem: nn.Module) -> None:
        super().__init__()
        self.conv = stem

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.conv(x))


def every_case():
    warnings.filterwarnings("ignore")
    x = seeded((3, 3, 16, 24), 61)
    one = x[:1]
    m = Squeezed(classes=1).eval()
    yield "squeezed", torch.jit.script(m), [x], {"last": part_cam(m, "last", [one], of=whole).relu()}
    m = Loss().eval()
    yield "loss", torch.jit.trace(m, x), [x], {"last": part_cam(m, "last", [one], of=whole).relu()}
    for name, net in {"decided": Decided(), "flagged": Flagged(), "beside": Beside(), "number": Number(), "texts": Texts()}.items():
        yield name, torch.jit.script(net.eval()), [x], {}

    for name, runs_on_one in {"of-three": False, "three-rows": True}.items():
        m = OfThree(runs_on_one).eval()
        m.stem = StemRelu(m.stem)
        run = lambda t: score(m(t))
        values = {"gradient": gradient(run, x), "integrated-gradients": integrated(run, x), "occlusion": occluded(run, x)}
        values |= {"gradcam": part_cam(m, "last", [x]).relu(), "scorecam": score_cam(m, x)}
        values |= {f"alone-{i}": part_cam(m, "last", [x[i : i + 1]]).relu() for i in range(3)}
        values |= {"scores": torch.cat([m(x[i : i + 1])[:, CLASS] for i in range(3)]).detach()}
        values |= {"ablationcam": ablation(m, "last", [x], lambda o: o, lambda _, changed: changed, lambda t: t).relu()}
        yield name, torch.jit.trace(m, x, check_trace=False), [x], values

    m = MixedThree(False).eval()
    yield "mixed-three", torch.jit.trace(m, x, check_trace=False), [x], {"gradcam": part_cam(m, "last", [x]).relu()}
    m = RandomThree(False).eval()
    yield "random-three", torch.jit.trace(m, x, check_trace=False), [x], {}
    yield "candidates", torch.jit.trace(Candidates().eval(), x[:1]), [x], {}

    m = Normalised(2).eval()
    yield "normalised", torch.jit.script(m), [x], {"norm": part_cam(m, "norm", [x]).relu()}
    volume = seeded((2, 3, 8, 8, 8), 62)
    m = Normalised(3).eval()
    yield "normalised-volume", torch.jit.trace(m, volume), [volume], {"norm": part_cam(m, "norm", [volume]).relu()}

    ids = torch.randint(0, 30, (1, 12), generator=torch.Generator().manual_seed(63))
    m = Tokens().eval()
    yield "tokens", torch.jit.trace(m, ids), [ids], {"mix": part_cam(m, "mix", [ids]).relu()}
    table = seeded((1, 4), 64)
    m = Tabled().eval()
    by_image = lambda t: score(m(table, t))
    values = {"integrated-gradients": integrated(by_image, one), "occlusion": occluded(by_image, one)}
    yield "tabled", torch.jit.trace(m, (table, one)), [table, one], values
    last = x.permute(0, 2, 3, 1).contiguous()
    yield "channels-last", torch.jit.trace(ChannelsLast().eval(), last), [last], {}
    box = seeded((1, 1, 8, 12, 16), 65)
    yield "volume", torch.export.export(Volume().eval(), (box,)), [box], {}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
