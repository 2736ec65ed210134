"""Weights alone, in the formats that they are published in, and what the net returns with them.

    python3 test/python/weights.py OUT
"""

import ctypes
import json
import struct
import sys
from collections import OrderedDict
from pathlib import Path

import torch

from tensors import Store, seeded

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "models"))
from densenet import densenet121  # noqa: E402


def safetensors(tensors, file):
    header, data, at = {"__metadata__": {"format": "pt"}}, [], 0
    for name, tensor in tensors.items():
        whole = tensor.contiguous()
        raw = ctypes.string_at(whole.data_ptr(), whole.numel() * whole.element_size())
        dtype = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64"}[tensor.dtype]
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        data.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))


def old_name(name):
    for part in ("norm", "conv"):
        for number in "12":
            name = name.replace(f".{part}{number}.", f".{part}.{number}.") if "denselayer" in name else name
    return name


class Callback:
    pass


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    torch.manual_seed(0)
    model = densenet121(num_classes=7).eval()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
    state = model.state_dict()
    torch.save(state, folder / "zip.pth")
    torch.save(state, folder / "legacy.pth", _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "state_dict": OrderedDict((f"module.{k}", v) for k, v in state.items())}, folder / "parallel.ckpt")
    lightning = {"epoch": 1, "state_dict": {f"model.{k}": v for k, v in state.items()}, "hyper_parameters": {"lr": 0.1}}
    torch.save(lightning, folder / "lightning.ckpt")
    old = {old_name(k): v for k, v in state.items() if not k.endswith("num_batches_tracked")}
    torch.save(old, folder / "old-names.pth")
    safetensors(state, folder / "single.safetensors")
    names = list(state)
    halves = {"first.safetensors": names[::2], "second.safetensors": names[1::2]}
    for file, some in halves.items():
        safetensors({name: state[name] for name in some}, folder / file)
    weight_map = {name: file for file, some in halves.items() for name in some}
    (folder / "sharded.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    wrong = OrderedDict((k.replace("classifier.", "head."), v) for k, v in state.items())
    wrong["features.conv0.weight"] = torch.zeros(64, 1, 7, 7)
    torch.save(wrong, folder / "wrong.pth")
    torch.save({"state_dict": state, "callbacks": Callback()}, folder / "callback.ckpt")
    other = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    torch.save(other.state_dict(), folder / "unknown.pth")
    x = seeded((2, 3, 64, 96), 1)
    with torch.no_grad():
        index = {"input": store(x), "output": store(model(x))}
    half = {}
    for dtype in (torch.float16, torch.bfloat16):
        name = str(dtype)[len("torch.") :]
        narrow = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
        model.load_state_dict(narrow)
        assert model.classifier.weight.dtype is torch.float32
        with torch.no_grad():
            half[name] = store(model(x))
        torch.save(narrow, folder / f"{name}.pth")
        safetensors(narrow, folder / f"{name}.safetensors")
    index["half"] = half
    whole = {key: value if key != "classifier.weight" else value.to(torch.int64) for key, value in state.items()}
    torch.save(whole, folder / "integers.pth")
    modules = [path for path, _ in model.named_modules()]
    (folder / "index.json").write_text(json.dumps({**index, "modules": modules}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
