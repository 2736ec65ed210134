#!/usr/bin/env python3
"""Trains the transformer whose attention docs/methods shows: two blocks on what the sample model's `features` return.

    python3 scripts/samples/train-attention-model.py

Writes scripts/samples/animals-hybrid.pt: patches of a convolutional network in place of patches of the image, as in Dosovitskiy et al.
2021, arXiv:2010.11929, section 3.1. Like the sample model it is told only which animals there are, never where.
Needs torch, and Node with this package's dependencies.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from sample_model.scenes import normalise, paint

SCENES, TESTS, EPOCHS, WIDTH, HEADS, GRID = 1000, 100, 40, 48, 3, 14


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        images, tokens = x.size(0), x.size(1)
        qkv = self.qkv(self.norm1(x)).reshape(images, tokens, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
        found = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        x = x + self.proj(found.transpose(1, 2).reshape(images, tokens, WIDTH))
        return x + self.mlp(self.norm2(x))


class Head(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.patches = nn.Conv2d(channels, WIDTH, 1)
        self.cls_token = nn.Parameter(torch.randn(1, 1, WIDTH) / 10)
        self.positions = nn.Parameter(torch.randn(1, GRID * GRID + 1, WIDTH) / 50)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, classes)

    def forward(self, features: Tensor) -> Tensor:
        patches = self.patches(features).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.cls_token.expand(patches.size(0), -1, -1), patches], 1) + self.positions
        return self.head(self.norm(self.blocks(tokens)[:, 0]))


class Hybrid(nn.Module):
    def __init__(self, features: nn.Module, head: Head) -> None:
        super().__init__()
        self.features, self.transformer = features, head

    def forward(self, x: Tensor) -> Tensor:
        return self.transformer(self.features(x))


def main() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(min(2, torch.get_num_threads()))
    sample = torch.jit.load(str(ROOT / "samples" / "animals-densenet.pt")).eval()
    with tempfile.TemporaryDirectory() as scratch:
        parts = paint(Path(scratch), "training", SCENES), paint(Path(scratch), "held-out", TESTS)
        with torch.no_grad():
            seen, tests = (
                torch.cat([sample.features(normalise(part.batch(which))) for which in torch.arange(len(part.boxes)).split(25)])
                for part in parts
            )
        head = Head(seen.size(1), len(parts[0].labels)).train()
        optimiser = torch.optim.AdamW(head.parameters(), lr=2e-3, weight_decay=0.05)
        steps = EPOCHS * (SCENES // 25)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-3, total_steps=steps, pct_start=0.15)
        for epoch in range(EPOCHS):
            for which in torch.randperm(SCENES).split(25):
                given = seen[which]
                given = given.flip(3) if torch.rand(()) < 0.5 else given
                loss = F.binary_cross_entropy_with_logits(head(given), parts[0].present[which])
                optimiser.zero_grad()
                loss.backward()
                optimiser.step()
                schedule.step()
            print(f"epoch {epoch + 1}/{EPOCHS}  loss {loss.item():.4f}", flush=True)
        head.eval()
        with torch.no_grad():
            logits = head(tests)
        most = logits.topk(2).indices
        right = parts[1].present.gather(1, most).mean().item()
        print(f"of {TESTS} scenes not seen before {right:.1%} of the animals are among its first two")
        out = ROOT / "scripts" / "samples" / "animals-hybrid.pt"
        torch.jit.script(Hybrid(sample.features, head).eval()).save(str(out))
        print(f"{out.name}: {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
