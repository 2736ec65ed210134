"""Exported programs with regions: torch.autocast, torch.no_grad and control flow, and with statistics; and what eager PyTorch says of them.

    python3 test/python/region_programs.py OUT
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from tensors import Store

warnings.filterwarnings("ignore")


class Convolutional(nn.Module):
    """Convolutions, statistics and a softmax: of both lists of autocast, and of none."""

    def __init__(self, dtype, outside):
        super().__init__()
        self.dtype, self.outside = dtype, outside
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1))
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.classifier = nn.Linear(32, 5)

    def forward(self, x):
        if self.outside:
            x = self.features[0](x)
        with torch.autocast("cpu", self.dtype):
            y = self.features[1:](x) if self.outside else self.features(x)
            y = torch.relu(y + y.mean((2, 3), keepdim=True).float())
            y = torch.cat([y, y.float() * 2], 1)[:, :8]
            z = self.classifier(self.pool(y).flatten(1))
            z = z * torch.softmax(z, 1)
        return z.float()


class Attention(nn.Module):
    """A layer norm, attention and a part that turns autocast off again."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 16, 4, stride=4)
        self.norm = nn.LayerNorm(16)
        self.qkv = nn.Linear(16, 48)
        self.out = nn.Linear(16, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.features(x).flatten(2).transpose(1, 2)
            n, t, c = y.shape
            q, k, v = self.qkv(self.norm(y)).reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
            y = y + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c))
            with torch.autocast("cpu", enabled=False):
                y = F.gelu(self.norm(y.float()))
            scores = (y @ y.transpose(1, 2)).softmax(2)
            y = torch.einsum("nts,nsc->ntc", scores, y)
        return self.head(y.float().mean(1))


class Within(nn.Module):
    """A region inside another, with arguments by name. torch.export itself loses a no_grad that is inside autocast."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.scale = nn.Conv2d(3, 6, 3, padding=1)
        self.head = nn.Linear(6, 5)

    def forward(self, x):
        y = self.features(x)
        with torch.no_grad():
            with torch.autocast("cpu", torch.bfloat16):
                scale = torch.full((1, 1, 1, 1), 0.5, dtype=torch.float32) + self.scale(x).amax((2, 3), keepdim=True)
        return self.head((y * scale).mean((2, 3)))


class Standardised(nn.Module):
    """Batch norm without statistics of its own: of weights, as in nfnets, and of the batch."""

    def __init__(self, batch):
        super().__init__()
        self.features = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8, track_running_stats=not batch)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        # Without the tanh the scores of all images together would not depend on the features: their mean is 0.
        weight = F.batch_norm(self.features.weight.reshape(1, 8, -1), None, None, training=True).reshape(8, 3, 3, 3)
        return self.head(torch.tanh(self.norm(F.relu(self.features(x) + F.conv2d(x, weight, padding=1)))).mean((2, 3)))


class Recurrent(nn.Module):
    """An operator that converts inside."""

    def __init__(self):
        super().__init__()
        self.rows = nn.LSTM(24, 6, batch_first=True)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.rows(x.permute(0, 2, 1, 3).flatten(2))[0].float().mean(1)


class Branching(nn.Module):
    def forward(self, x):
        return torch.cond(x.sum() > 0, lambda y: y + 1, lambda y: y - 1, (x,))


class Mapping(nn.Module):
    def forward(self, x):
        from torch._higher_order_ops.map import map as map_rows

        return map_rows(lambda row, other: row * 2 + other, x, x.mean(0))


class Scanning(nn.Module):
    def forward(self, x):
        from torch._higher_order_ops.scan import scan

        return scan(lambda carry, row: (carry + row, carry * 1.0), x[0] * 0, x, dim=0)[1]


class Looping(nn.Module):
    def forward(self, x):
        from torch._higher_order_ops.while_loop import while_loop

        return while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (torch.tensor(0), x))[1]


class Training(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.part = part

    def forward(self, x):
        with torch.no_grad():
            y = self.part(x)
        return y + x


def explained(model, x):
    kept = []
    handle = model.features.register_forward_hook(lambda _m, _i, value: kept.append(value))
    if getattr(model, "outside", False):
        handle = model.features[0].register_forward_hook(lambda _m, _i, value: kept.append(value))
    leaf = x.clone().requires_grad_()
    output = model(leaf)
    gradient, at_layer = torch.autograd.grad(output[:, 1].sum(), [leaf, kept[0]])
    handle.remove()
    value, at_layer = kept[0].float(), at_layer.float()
    cam = (value * at_layer.mean((2, 3), keepdim=True)).sum(1, keepdim=True).clamp(min=0)
    return {"output": output, "gradient": gradient, "cam": cam}, str(kept[0].dtype)[len("torch.") :]


# As much as one value of bfloat16 is from the next, and by how much the test lets maps differ.
PERTURBED, ALLOWED = 2**-8, 2**-6


def is_steady(model, x, cam):
    """Whether the map is not made by rounding: inputs that are off by a rounding of bfloat16 give nearly the same one."""
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        off = 1 + (torch.rand(x.shape, generator=generator) * 2 - 1) * PERTURBED
        found, _ = explained(model, x * off)
        if (found["cam"] - cam).norm() > ALLOWED * cam.norm():
            return False
    return True


def seeded(build, x):
    """The nets of the seeds with which the map of each image says something that rounding does not change."""
    for seed in range(100):
        torch.manual_seed(seed)
        model = build().eval()
        found, dtype = explained(model, x)
        if found["cam"].flatten(1).amax(1).min() > 0 and is_steady(model, x, found["cam"]):
            yield model, found, dtype


def save(model, x, file, batch=False):
    shapes = ({0: torch.export.Dim("batch", min=1, max=64)},) if batch else None
    torch.export.save(torch.export.export(model, (x,), dynamic_shapes=shapes), str(file))


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    store = Store(out)
    x = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    programs = {}
    for name, build, layer in (
        ("bfloat16", lambda: Convolutional(torch.bfloat16, False), "features"),
        ("float16", lambda: Convolutional(torch.float16, False), "features"),
        ("a part", lambda: Convolutional(torch.bfloat16, True), "features.0"),
        ("attention", Attention, "features"),
        ("statistics of weights", lambda: Standardised(False), "features"),
        ("statistics of the batch", lambda: Standardised(True), "features"),
        ("inside no_grad", Within, "features"),
    ):
        model, found, dtype = next(seeded(build, x))
        for static in (False, True):
            save(model, x, out / f"{name}{'.static' if static else ''}.pt2", not static)
        programs[name] = {"layer": layer, "dtype": dtype, **{what: store(each) for what, each in found.items()}}
    refused = {
        "lstm": Recurrent(),
        "cond": Branching(),
        "map": Mapping(),
        "scan": Scanning(),
        "while_loop": Looping(),
        "training": Training(nn.Sequential(nn.Dropout(0.5))).train(),
    }
    for name, model in refused.items():
        save(model if name == "training" else model.eval(), x, out / f"{name}.pt2")
    (out / "index.json").write_text(json.dumps({"input": store(x), "programs": programs, "refused": list(refused)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
