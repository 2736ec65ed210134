"""What the programs share that write nets as files, and what eager PyTorch makes of them."""

import json
from pathlib import Path

import torch

from tensors import Store


def save(module, path):
    """The name of the file."""
    if isinstance(module, torch.export.ExportedProgram):
        torch.export.save(module, f"{path}.pt2")
        return f"{path.name}.pt2"
    module.save(f"{path}.pt")
    return f"{path.name}.pt"


def write_nets(folder, every_case, others=()):
    """Saves each (name, TorchScript module or exported program, inputs, values) that `every_case()` yields; OUT/index.json: {NET: {"file", "inputs": [tensor],
    "values": {NAME: tensor}}}. `others` are files that are in the folder already, without values."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    store, index = Store(folder), {}
    for name, module, inputs, values in every_case():
        file = save(module, folder / name)
        stored = {key: store(value) for key, value in values.items()}
        index[name] = {"file": file, "inputs": [store(value) for value in inputs], "values": stored}
    for name in others:
        index[name] = {"file": f"{name}.pt", "inputs": [], "values": {}}
    (folder / "index.json").write_text(json.dumps(index))
