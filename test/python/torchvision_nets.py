"""Nets that use torchvision's operators, as TorchScript files, and what eager PyTorch makes of them.

    python3 test/python/torchvision_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}.
"""

import sys

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator

from net_files import write_nets
from tensors import seeded

CLASS = 1


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Tanh(), nn.Conv2d(8, 8, 3, 2, 1), nn.Tanh())
        self.out_channels = 8

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def detector() -> FasterRCNN:
    """A Faster R-CNN in all its parts, of a few thousand parameters: images [3, H, W] to boxes, labels and scores."""
    return FasterRCNN(
        Backbone(),
        min_size=48,
        max_size=64,
        rpn_anchor_generator=AnchorGenerator(sizes=((12, 24),), aspect_ratios=((0.5, 1.0),)),
        box_roi_pool=torchvision.ops.MultiScaleRoIAlign(featmap_names=["0"], output_size=3, sampling_ratio=2),
        box_head=nn.Sequential(nn.Flatten(1), nn.Linear(72, 16), nn.Tanh()),
        box_predictor=torchvision.models.detection.faster_rcnn.FastRCNNPredictor(16, 3),
        rpn_pre_nms_top_n_test=40,
        rpn_post_nms_top_n_test=8,
        box_score_thresh=0.0,
        box_detections_per_img=4,
    ).eval()


class Deformed(nn.Module):
    """float [N, 3, H, W] to logits [N, 5] through a deformable convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.offset, self.head = nn.Conv2d(3, 6, 3, 2, 1), nn.Conv2d(6, 18, 3, padding=1), nn.Linear(6, 5)
        self.weight = nn.Parameter(seeded((6, 6, 3, 3), 41) * 0.2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.stem(x))
        x = torchvision.ops.deform_conv2d(x, self.offset(x), self.weight, padding=(1, 1))
        return self.head(torch.tanh(x).mean([2, 3]))


def cam(model, layer, run):
    """Grad-CAM with its negative values, of the score that `run` computes."""
    seen = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
    score = run()
    handle.remove()
    (g,) = torch.autograd.grad(score, seen[-1])
    return (g.mean((2, 3), keepdim=True) * seen[-1]).sum(1, keepdim=True).detach()


def best(found, box):
    """IoU and score of the detection that overlaps a box most."""
    iou = torchvision.ops.box_iou(found["boxes"], box.unsqueeze(0))[:, 0]
    at = int(iou.argmax())
    return iou[at] + found["scores"][at]


def every_case():
    x = seeded((2, 3, 48, 64), 42, kind="rand")
    m = detector()
    found = m(list(x))
    # Near a detection of each image, and not on it: at the box itself its IoU has no gradient.
    boxes = torch.stack([each["boxes"][0].detach() + torch.tensor([1.0, 0.5, -1.5, -0.5]) for each in found])
    score = lambda: sum(best(each, box) for each, box in zip(m(list(x)), boxes))
    yield "detector", torch.jit.script(m), [x], {
        "boxes": boxes,
        "scores": torch.stack([best(each, box).detach() for each, box in zip(found, boxes)]),
        "cam": cam(m, "backbone.body", score),
        "found boxes": torch.cat([each["boxes"] for each in found]).detach(),
    }
    m = Deformed().eval()
    yield "deformed", torch.jit.script(m), [x], {"stem": cam(m, "stem", lambda: m(x)[:, CLASS].sum())}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
