#!/usr/bin/env python3
"""Trains the sample models, which tell which two animals stand in an image: a small DenseNet and a small vision transformer.

    python3 scripts/samples/train-sample-model.py                   trains, tests, writes samples/animals-densenet.pt
    python3 scripts/samples/train-sample-model.py --model vit       the same for samples/animals-vit.pt
    python3 scripts/samples/train-sample-model.py --test            tests the file that is there

They are told only which animals there are, never where: that their Grad-CAM points at them is their own finding.
Needs torch, and Node with this package's dependencies (scripts/samples/dump-scenes.mjs paints the scenes).
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, NamedTuple

# Idle OpenMP threads spin by default: on two cores that other programs use as well, that makes a step five times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch
from torch import nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from models.densenet import DenseNet
from sample_model import pointing, vit
from sample_model.scenes import Scenes, augment, normalise, paint

SAMPLES = ROOT / "samples"
LABELS = SAMPLES / "labels.txt"

BATCH = 16


class Sample(NamedTuple):
    file: Path
    make: Callable[[int], nn.Module]  # from the number of classes
    rate: float  # the highest learning rate
    epochs: int
    maps: pointing.Maps


def sample_densenet(classes: int) -> DenseNet:
    """densenet121's structure with three blocks, as in the paper's networks for small images: `features` is 14 x 14."""
    return DenseNet(growth_rate=16, block_config=(3, 6, 8), num_init_features=16, bn_size=2, num_classes=classes)


MODELS = {
    "densenet": Sample(SAMPLES / "animals-densenet.pt", sample_densenet, 3e-3, 5, pointing.grad_cam),
    "vit": Sample(SAMPLES / "animals-vit.pt", vit.VisionTransformer, 1.5e-3, 8, vit.grad_cam),
}


def train(sample: Sample, scenes: Scenes, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model = sample.make(len(scenes.labels)).to(memory_format=torch.channels_last).train()
    steps = epochs * (len(scenes.boxes) // BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), lr=sample.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=sample.rate, total_steps=steps, pct_start=0.15)
    began, step, recent = time.monotonic(), 0, 0.0
    for _ in range(epochs):
        order = torch.randperm(len(scenes.boxes))
        for which in order.split(BATCH):
            if len(which) < BATCH:
                continue
            images = normalise(augment(scenes.batch(which)))
            logits = model(images.contiguous(memory_format=torch.channels_last))
            loss = F.binary_cross_entropy_with_logits(logits, scenes.present[which])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            step += 1
            recent = loss.item() if step == 1 else 0.95 * recent + 0.05 * loss.item()
            if step % 50 == 0 or step == steps:
                print(f"step {step}/{steps}  loss {recent:.4f}  {time.monotonic() - began:.0f} s", flush=True)
    return model.to(memory_format=torch.contiguous_format).eval()


def main() -> int:
    parser = argparse.ArgumentParser(description="Trains and tests a sample model.")
    parser.add_argument("--model", choices=tuple(MODELS), default="densenet")
    parser.add_argument("--test", action="store_true", help="only test the model that is there")
    parser.add_argument("--scenes", type=int, default=8000, help="training scenes (default: 8000)")
    parser.add_argument("--epochs", type=int, help="times that each is seen (default: 5 for densenet, 8 for vit)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", choices=("held-out", "validation"), default="held-out", help="scenes to test on")
    parser.add_argument("--tests", type=int, default=500, help="scenes to test on (default: 500)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: animals-MODEL.pt in samples/")
    parser.add_argument("--work", type=Path, metavar="DIR", help="keeps the painted scenes for the next run")
    options = parser.parse_args()
    sample = MODELS[options.model]
    out = options.out or sample.file
    torch.set_num_threads(min(2, torch.get_num_threads()))
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        if not options.test:
            began = time.monotonic()
            scenes = paint(work, "training", options.scenes)
            print(f"{options.scenes} scenes painted in {time.monotonic() - began:.0f} s", flush=True)
            model = train(sample, scenes, options.epochs or sample.epochs, options.seed)
            out.parent.mkdir(parents=True, exist_ok=True)
            torch.jit.script(model).save(str(out))
            LABELS.write_text("".join(f"{label}\n" for label in scenes.labels))
            print(f"{out}: {out.stat().st_size / 1e6:.2f} MB, {time.monotonic() - began:.0f} s in all")
        # The file is tested, not the model in memory: it is what people get.
        tests = paint(work, options.part, options.tests)
        print(pointing.show(pointing.evaluate(torch.jit.load(str(out)), sample.maps, tests), tests))
    return 0


if __name__ == "__main__":
    sys.exit(main())
