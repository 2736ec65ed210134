"""Tensors as raw little-endian files, so that Node reads them without numpy or a format of their own."""

import ctypes
import sys
from pathlib import Path

import torch

from arithmetic import is_float64


def write_tensor(tensor, folder, name):
    """Writes `tensor` to folder/name.bin and returns what Node needs to read it: file, shape and dtype."""
    if sys.byteorder != "little":
        raise RuntimeError("the raw files are little-endian, and so must be the machine that writes them")
    tensor = tensor.detach().cpu().contiguous()
    size = tensor.numel() * tensor.element_size()
    path = Path(folder) / f"{name}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ctypes.string_at(tensor.data_ptr(), size) if size else b"")
    dtype = str(tensor.dtype)[len("torch.") :]
    return {"file": str(path.relative_to(folder)), "shape": list(tensor.shape), "dtype": dtype}


class Store:
    """Writes the tensors of one run under names that are safe as files and never collide."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.count = 0

    def __call__(self, tensor):
        self.count += 1
        return write_tensor(tensor, self.folder, f"tensors/{self.count:05d}")


def seeded(shape, seed, dtype=torch.float32, kind="randn"):
    """A tensor that depends on `seed` and on nothing that ran before it; the same numbers in either arithmetic."""
    return drawn(shape, seed, torch.float32, kind).double() if is_float64() else drawn(shape, seed, dtype, kind)


def drawn(shape, seed, dtype, kind="randn"):
    generator = torch.Generator().manual_seed(seed)
    return getattr(torch, kind)(shape, generator=generator, dtype=dtype)
