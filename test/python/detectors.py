"""Small object detectors: float [N, 3, 16, 20] to boxes x1, y1, x2, y2 in pixels, labels from 1 on, and scores."""

from typing import Dict, List, Tuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nets import conv


class Detector(nn.Module):
    """A box, a label and a score for each of 4 x 5 cells, as three tensors of all images."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 8), nn.ReLU())
        self.head = nn.Conv2d(8, 7, 3, padding=1)

    def find(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        cells = F.avg_pool2d(self.head(self.features(x)) * 4, 4).flatten(2).transpose(1, 2)
        rows = torch.arange(4, dtype=x.dtype, device=x.device).repeat_interleave(5) * 4 + 2
        columns = torch.arange(5, dtype=x.dtype, device=x.device).repeat(4) * 4 + 2
        center = torch.stack([columns, rows], 1) + torch.tanh(cells[..., :2]) * 2
        half = 1.5 + F.softplus(cells[..., 2:4])
        chances = torch.softmax(cells[..., 4:], 2)
        return torch.cat([center - half, center + half], 2), chances.argmax(2) + 1, chances.amax(2)


class ListDetector(Detector):
    """As torchvision's detectors: a dict for each image, of as many detections as there are in it."""

    def forward(self, x: Tensor) -> List[Dict[str, Tensor]]:
        boxes, labels, scores = self.find(x)
        found: List[Dict[str, Tensor]] = []
        for i in range(x.size(0)):
            keep = torch.where(scores[i] > 0.36)[0]
            found.append({"boxes": boxes[i][keep], "labels": labels[i][keep], "scores": scores[i][keep]})
        return found


class DictDetector(Detector):
    """All images in one dict, below a name, as exported transformers give them."""

    def forward(self, x: Tensor) -> Tuple[Tensor, Dict[str, Tensor]]:
        boxes, labels, scores = self.find(x)
        return scores, {"boxes": boxes, "classes": labels, "scores": scores}


class TupleDetector(Detector):
    """Boxes and scores alone."""

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        boxes, _, scores = self.find(x)
        return boxes, scores
