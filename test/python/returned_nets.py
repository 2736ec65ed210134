"""Nets that return features, hidden states or masks beside their logits, as TorchScript files, and the Grad-CAM of eager PyTorch at
the layer that is nearest to the class.

    python3 test/python/returned_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {"cam": tensor}}}.
"""

import sys

import torch
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded

CLASS = 3


class Convolutions(nn.Module):
    """`layers` halves the image twice; of its last part there are two layers of the same size."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Tanh())
        self.late = nn.Sequential(nn.Conv2d(6, 8, 3, 2, 1), nn.Tanh())
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor):
        f = self.late(self.early(x))
        return {"logits": self.head(f.mean([2, 3])), "features": f}


class Pyramid(Convolutions):
    """A tuple with the output of every layer, and the logits last."""

    def forward(self, x: Tensor):
        e = self.early(x)
        f = self.late(e)
        return e, f, self.head(f.mean([2, 3]))


class Tokens(nn.Module):
    """A transformer that returns its logits and hidden states by name, as those of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.mix, self.head = nn.Linear(8, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor):
        t = self.norm(self.patch(x).flatten(2).transpose(1, 2))
        mixed = t + torch.tanh(self.mix(t))
        return {"logits": self.head(mixed.mean(1)), "hidden_states": mixed}


class Mask(nn.Module):
    """One convolution, whose output is the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.only = nn.Conv2d(3, 4, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.only(x)


class Enlarged(Convolutions):
    """Scores of a quarter of the rows and columns, enlarged to those of the image, as torchvision's segmentations give them."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Conv2d(8, 7, 1), nn.Tanh(), nn.Conv2d(7, 5, 1))
        self.beside = nn.Conv2d(6, 5, 1)

    def forward(self, x: Tensor):
        e = self.early(x)
        scores = [self.classifier(self.late(e)), self.beside(e)]
        out, aux = [nn.functional.interpolate(one, x.shape[2:], mode="bilinear", align_corners=False) for one in scores]
        return {"out": out, "aux": aux}


class EnlargedAlone(Enlarged):
    def forward(self, x: Tensor):
        return super().forward(x)["out"]


class Recurrent(nn.Module):
    """The only layer with several positions returns a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(6, 7, batch_first=True), nn.Linear(7, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x[:, 0, :, :6])[0].mean(1))


def cam(model, layer, x, score, order=None):
    """Grad-CAM; `order` brings tokens to [N, C, h, w]."""
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    y = score(model(x)).sum()
    handle.remove()
    (g,) = torch.autograd.grad(y, seen[-1])
    a, g = (order(seen[-1]), order(g)) if order else (seen[-1], g)
    return (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu().detach()


def every_case():
    x = seeded((2, 3, 24, 16), 51, kind="rand")
    grid = lambda t: t.transpose(1, 2).reshape(2, 8, 6, 4)
    for name, m, layer, of, order in (
        ("features", Convolutions(), "late", "logits", None),
        ("pyramid", Pyramid(), "late", 2, None),
        ("hidden", Tokens(), "norm", "logits", grid),
    ):
        m.eval()
        value = cam(m, layer, x, lambda y: y[of][:, CLASS], order)
        yield name, torch.jit.trace(m, x, strict=False), [x], {"cam": value}
    m = Mask().eval()
    yield "mask", torch.jit.script(m), [x], {"cam": cam(m, "only", x, lambda y: y[:, CLASS].sum((1, 2)))}
    enlarged, alone = Enlarged(), EnlargedAlone()
    alone.load_state_dict(enlarged.state_dict())
    for name, m, of in (("enlarged", enlarged, lambda y: y["out"]), ("enlarged_alone", alone, lambda y: y)):
        m.eval()
        value = cam(m, "classifier.1", x, lambda y: of(y)[:, CLASS].sum((1, 2)))
        yield name, torch.jit.trace(m, x, strict=False), [x], {"cam": value}
    m = Recurrent().eval()
    yield "recurrent", torch.jit.script(m), [x], {}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
