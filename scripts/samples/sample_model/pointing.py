"""How well a model knows the held-out scenes, and whether its Grad-CAM points at the right animal."""

from typing import Callable, Dict, NamedTuple, Tuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .scenes import Scenes, normalise


# model, images [N, 3, H, W], target [N] -> logits [N, C], maps [N, 1, H, W]
Maps = Callable[[nn.Module, Tensor, Tensor], Tuple[Tensor, Tensor]]


def grad_cam(model: nn.Module, images: Tensor, target: Tensor) -> Tuple[Tensor, Tensor]:
    """The reference's map for one class per image at `features`: relu(sum_k mean(gradient_k) * activation_k).

    images [N, 3, H, W], target [N] -> logits [N, C], maps [N, 1, H, W] (bilinear, align_corners=False, not normalised)
    """
    # Parts by hand instead of hooks: the activation is what `features` gave, before the ReLU that follows overwrites it.
    activation = model.features(images).detach().requires_grad_()
    pooled = F.adaptive_avg_pool2d(F.relu(activation), (1, 1)).flatten(1)
    logits = model.classifier(pooled)
    (gradient,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), activation)
    weights = gradient.mean((2, 3), keepdim=True)
    maps = F.relu((weights * activation).sum(1, keepdim=True))
    maps = maps.detach()
    return logits.detach(), F.interpolate(maps, images.shape[2:], mode="bilinear", align_corners=False)


class Report(NamedTuple):
    accuracy: Dict[str, float]  # per class: present or absent told right, at logit 0
    exact: float  # scenes whose whole set of classes is right
    top_two: float  # scenes whose two highest logits are the two that are there
    pointing: float  # (scene, class) pairs whose peak lies within the class's box
    pointing_of: Dict[str, float]
    energy: float  # share of the maps' mass within the box, mean
    empty: int  # maps that are zero everywhere


def evaluate(model: nn.Module, maps_of: Maps, scenes: Scenes, batch: int = 40) -> Report:
    model.eval()
    all_logits = []
    hits: Dict[str, list] = {label: [] for label in scenes.labels}
    energies, empty = [], 0
    for start in range(0, len(scenes.boxes), batch):
        which = torch.arange(start, min(start + batch, len(scenes.boxes)))
        images = normalise(scenes.batch(which))
        for turn in range(2):
            boxes = [scenes.boxes[i][turn] for i in which.tolist()]
            logits, maps = maps_of(model, images, torch.tensor([box["class"] for box in boxes]))
            for box, image in zip(boxes, maps[:, 0]):
                peak = int(image.argmax())
                column, row = peak % image.shape[1] + 0.5, peak // image.shape[1] + 0.5
                inside = box["x"] <= column <= box["x"] + box["w"] and box["y"] <= row <= box["y"] + box["h"]
                total = float(image.sum())
                empty += total == 0
                hits[scenes.labels[box["class"]]].append(inside and total > 0)
                left, top = round(box["x"]), round(box["y"])
                within = image[top : top + round(box["h"]), left : left + round(box["w"])]
                energies.append(float(within.sum()) / total if total else 0.0)
        all_logits.append(logits)
    told = torch.cat(all_logits)
    right = (told > 0) == (scenes.present > 0)
    chosen = torch.zeros_like(told).scatter_(1, told.topk(2).indices, 1)
    every = [hit for of_class in hits.values() for hit in of_class]
    return Report(
        accuracy=dict(zip(scenes.labels, right.float().mean(0).tolist())),
        exact=right.all(1).float().mean().item(),
        top_two=(chosen == scenes.present).all(1).float().mean().item(),
        pointing=sum(every) / len(every),
        pointing_of={label: sum(found) / max(1, len(found)) for label, found in hits.items()},
        energy=sum(energies) / len(energies),
        empty=empty,
    )


def show(report: Report, scenes: Scenes) -> str:
    lines = [f"{'class':<12}accuracy  peak in its box"]
    for label in scenes.labels:
        lines.append(f"{label:<12}{report.accuracy[label]:8.2%}  {report.pointing_of[label]:8.2%}")
    lines.append(f"{len(scenes.boxes)} scenes: all classes right {report.exact:.2%}, the two top logits right {report.top_two:.2%}")
    lines.append(
        f"{2 * len(scenes.boxes)} maps: peak in its box {report.pointing:.2%}, mass in its box {report.energy:.1%}, "
        f"empty {report.empty}"
    )
    return "\n".join(lines)
