"""Makes the files of weights that `npm run fuzz -- weights` mutates: python3 scripts/fuzz/bases/make-weights.py

Of torchvision's squeezenet1_1 with two classes, all zero. In the files of torch.save all tensors are parts of one storage.
"""

import gzip
import io
import json
import struct
from pathlib import Path

import torch
from torchvision.models import squeezenet1_1

out = Path(__file__).parent
state = squeezenet1_1(num_classes=2).state_dict()
block = torch.zeros(max(tensor.numel() for tensor in state.values()))
views = {name: block[: tensor.numel()].view(tensor.shape) for name, tensor in state.items()}


def packed(name, data):
    (out / f"{name}.gz").write_bytes(gzip.compress(data, mtime=0))


for name, is_zip in (("weights.pth", True), ("weights-old.pth", False)):
    file = io.BytesIO()
    torch.save({"epoch": 3, "state_dict": views}, file, _use_new_zipfile_serialization=is_zip)
    packed(name, file.getvalue())

header, at = {"__metadata__": {"format": "pt"}}, 0
for name, tensor in state.items():
    header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, at + 4 * tensor.numel()]}
    at += 4 * tensor.numel()
text = json.dumps(header).encode()
packed("weights.safetensors", struct.pack("<Q", len(text)) + text + bytes(at))
