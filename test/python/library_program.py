"""An exported program with operators of a library, torchvision's, and what eager PyTorch says of it.

    python3 test/python/library_program.py OUT
"""

import json
import sys
import warnings
from pathlib import Path

import torch
import torchvision
from torch import nn

from tensors import Store

warnings.filterwarnings("ignore")


class Detector(nn.Module):
    """Scores for three boxes of each image, of which only those are returned that do not overlap better ones."""

    def __init__(self, aligned):
        super().__init__()
        self.aligned = aligned
        self.features = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.head = nn.Linear(6 * 4, 5)
        self.register_buffer("boxes", torch.tensor([[1.0, 2.0, 9.0, 12.0], [2.0, 2.0, 10.0, 12.0], [8.0, 4.0, 18.0, 15.0]]))

    def forward(self, x):
        y = torch.relu(self.features(x))
        if self.aligned:
            rois = torch.cat([torch.zeros(3, 1, dtype=x.dtype), self.boxes], 1)
            found = torchvision.ops.roi_align(y, rois, (2, 2), 0.5, 2, True)
        else:
            found = nn.functional.adaptive_avg_pool2d(y, (2, 6)).unflatten(3, (3, 2)).permute(3, 0, 1, 2, 4)
        scores = self.head(found.flatten(1))
        kept = torchvision.ops.nms(self.boxes, scores.amax(1), 0.5)
        return {"scores": scores[kept], "boxes": self.boxes[kept]}


def explained(model, x):
    kept = []
    model.features.register_forward_hook(lambda _m, _i, value: kept.append(value))
    leaf = x.clone().requires_grad_()
    found = model(leaf)
    gradient, at_layer = torch.autograd.grad(found["scores"][:, 1].sum(), [leaf, kept[0]])
    cam = (kept[0] * at_layer.mean((2, 3), keepdim=True)).sum(1, keepdim=True).clamp(min=0)
    return {"scores": found["scores"], "boxes": found["boxes"], "gradient": gradient, "cam": cam}


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    store = Store(out)
    torch.manual_seed(0)
    x = torch.randn(1, 3, 16, 20)
    programs = {}
    for name, aligned in (("detector", False), ("aligned", True)):
        model = Detector(aligned).eval()
        torch.export.save(torch.export.export(model, (x,)), str(out / f"{name}.pt2"))
        programs[name] = {what: store(tensor) for what, tensor in explained(model, x).items()}
    library = next(Path(torchvision.__file__).parent.glob("_C*.so"))
    (out / "index.json").write_text(json.dumps({"library": str(library), "input": store(x), "programs": programs}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
