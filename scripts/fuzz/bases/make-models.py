"""Makes the small models that `npm run fuzz -- models` mutates: python3 scripts/fuzz/bases/make-models.py

They are kept beside this file, so that a seed gives the same mutation on every machine, without Python.
"""

import zipfile
from pathlib import Path
from typing import Dict, List, Optional

import torch
import torch.nn.functional as F
from torch import nn


class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(x)).mean([2, 3]))


class Pooled(nn.Module):
    """What a convolutional net consists of: batch norm, an in-place ReLU, max-pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.features = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.norm(self.conv1(x)))
        x = self.pool(self.relu(self.features(x)))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Control(nn.Module):
    """What scripted nets may hold besides: loops, branches, lists, dictionaries, methods, buffers of integers."""

    opt: Optional[torch.Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(3 if i == 0 else 6, 6, 3, padding=1) for i in range(3)])
        self.fc = nn.Linear(6, 4)
        self.names: Dict[str, int] = {"a": 1, "b": 2}
        self.register_buffer("idx", torch.arange(6))
        self.scale: float = 0.5
        self.opt = None

    def shifted(self, x: torch.Tensor, times: int) -> torch.Tensor:
        for i in range(times):
            x = x + self.scale * i
        return x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        outs: List[torch.Tensor] = []
        for conv in self.convs:
            x = torch.relu(conv(x))
            outs.append(x)
        if x.sum() > 1e9:
            x = self.shifted(x, self.names["b"])
        x = x[:, self.idx] + torch.stack(outs).mean(0)
        return self.fc(x.mean([2, 3]))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 4, stride=4)
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.fc = nn.Linear(8, 3)
        self.position = nn.Embedding(64, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        b, c, h, w = x.shape
        tokens = self.norm(x.flatten(2).transpose(1, 2) + self.position(torch.arange(h * w)))
        q, k, v = self.qkv(tokens).chunk(3, -1)
        tokens = F.scaled_dot_product_attention(q, k, v) + tokens
        x = torch.relu(tokens.transpose(1, 2).reshape(b, c, h, w))
        return self.fc(x.mean([2, 3]))


def without_debug(path: Path) -> None:
    """Leaves out what names the source files, which lie elsewhere on every machine."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist() if not name.endswith(".debug_pkl")}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records.items():
            archive.writestr(zipfile.ZipInfo(name), data)


def main() -> None:
    torch.manual_seed(0)
    folder = Path(__file__).parent
    example = torch.rand(1, 3, 32, 32)
    for net in (Tiny(), Pooled(), Control(), Attention()):
        net.eval()
        name = type(net).__name__.lower()
        torch.jit.script(net).save(folder / f"{name}-script.pt")
        if isinstance(net, (Tiny, Pooled)):
            torch.jit.trace(net, example, check_trace=False).save(folder / f"{name}-trace.pt")
    for path in folder.glob("*.pt"):
        without_debug(path)


if __name__ == "__main__":
    main()
