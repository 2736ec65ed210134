"""Scenes as tensors: painted by scripts/samples/dump-scenes.mjs, read without numpy or PIL."""

import json
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple

import torch
from torch import Tensor

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)


class Scenes(NamedTuple):
    pixels: Tensor  # uint8 [N, 224, 224, 3]
    present: Tensor  # float [N, classes]: 1 where the class stands in the scene
    boxes: List[List[Dict]]  # per scene two of {class, x, y, w, h}, in pixels
    labels: List[str]

    def batch(self, which: Tensor) -> Tensor:
        """float [n, 3, 224, 224] in 0..1, channels last in memory."""
        return self.pixels[which].permute(0, 3, 1, 2).float().div_(255)


def paint(folder: Path, part: str, count: int, first: int = 0) -> Scenes:
    """`part` is training, validation or held-out; the seed ranges are those of scripts/samples/scenes.mjs."""
    file = folder / f"{part}-{first}-{count}.rgb"
    if not file.with_name(file.name + ".json").exists():
        program = Path(__file__).parents[1] / "dump-scenes.mjs"
        order = ["--range", part, "--first", str(first), "--count", str(count), "--out", str(file)]
        subprocess.run(["node", str(program), *order], check=True)
    about = json.loads(file.with_name(file.name + ".json").read_text())
    side = about["side"]
    # Mapped, not read: a run touches a batch at a time.
    pixels = torch.from_file(str(file), size=count * side * side * 3, dtype=torch.uint8).view(count, side, side, 3)
    present = torch.zeros(count, len(about["labels"]))
    for i, scene in enumerate(about["scenes"]):
        for box in scene["boxes"]:
            present[i, box["class"]] = 1
    return Scenes(pixels, present, [scene["boxes"] for scene in about["scenes"]], about["labels"])


def normalise(images: Tensor) -> Tensor:
    """By ImageNet's statistics, as everybody's preprocessing does."""
    return (images - MEAN) / STD


def augment(images: Tensor) -> Tensor:
    """Mirrors, swaps colour channels, inverts and dims: what is left in common within a class is its shape."""
    n = images.shape[0]
    images = torch.where(coin(n), images.flip(3), images)
    orders = torch.stack([torch.randperm(3) for _ in range(n)])
    images = images[torch.arange(n)[:, None], orders]
    images = torch.where(coin(n, 0.1), 1 - images, images)
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.2)
    brightness = torch.empty(n, 1, 1, 1).uniform_(-0.15, 0.15)
    images = (images - 0.5) * contrast + 0.5 + brightness
    return (images + torch.randn_like(images) * torch.rand(n, 1, 1, 1) * 0.05).clamp_(0, 1)


def coin(n: int, probability: float = 0.5) -> Tensor:
    return torch.rand(n, 1, 1, 1) < probability
