"""Files that a user may hand to the loader although they are not a TorchScript model, or not a whole one."""

import io
import json
import struct
import zipfile
from pathlib import Path

import torch
from torch import nn


class NoForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    @torch.jit.export
    def double(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.scale * 2


def torchscript_bytes(model):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(model), buffer)
    return buffer.getvalue()


def without_code(whole):
    """A TorchScript archive that lost its code/ folder."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(result, "w") as target:
        for entry in source.namelist():
            if "/code/" not in entry:
                target.writestr(entry, source.read(entry))
    return result.getvalue()


def flipped(whole):
    """With 64 bytes inverted in the middle of the record that says what the model is made of. Anywhere else they might fall
    into padding, depending on how long the paths are that the file holds."""
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        record = next(info for info in archive.infolist() if info.filename.endswith("/data.pkl"))
    name_length, extra_length = struct.unpack_from("<HH", whole, record.header_offset + 26)
    start = record.header_offset + 30 + name_length + extra_length
    middle = start + record.compress_size // 2
    broken = bytearray(whole)
    for offset in range(middle - 32, middle + 32):
        broken[offset] ^= 0xFF
    return bytes(broken)


def safetensors_bytes():
    """The layout of that format: length of the header, the header in JSON, the data."""
    header = json.dumps({"weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


def onnx_bytes():
    """The start of an ONNX ModelProto: ir_version 8 and the producer's name, as protocol-buffer fields 1 and 2."""
    producer = b"pytorch"
    return b"\x08\x08" + b"\x12" + bytes([len(producer)]) + producer + b"\x3a\x00" + bytes(64)


def zip_bytes():
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w") as archive:
        archive.writestr("notes.txt", "not a model")
    return result.getvalue()


def write(folder, model, x):
    """Writes the files and returns {file name: its path from the parent folder}."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    whole = torchscript_bytes(model)
    contents = {
        "truncated.pt": whole[: len(whole) // 2],
        "cut_short.pt": whole[:100],
        "bytes_flipped.pt": flipped(whole),
        "without_code.pt": without_code(whole),
        "no_forward.pt": torchscript_bytes(NoForward()),
        "empty.pt": b"",
        "text.pt": b"Not a model, but a note to say so.\n",
        "html.pt": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n",
        "lfs_pointer.pt": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 32437672\n",
        "model.safetensors": safetensors_bytes(),
        "model.onnx": onnx_bytes(),
        "plain.zip": zip_bytes(),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    torch.save(model.state_dict(), folder / "state_dict.pt")
    torch.save({"epoch": 3, "state_dict": model.state_dict()}, folder / "checkpoint.pt")
    torch.save(model, folder / "eager_module.pt")
    torch.save(torch.zeros(3), folder / "tensor.pt")
    torch.save(model.state_dict(), folder / "legacy_state_dict.pt", _use_new_zipfile_serialization=False)
    torch.save(model, folder / "legacy_eager_module.pt", _use_new_zipfile_serialization=False)
    torch.export.save(torch.export.export(model, (x,)), folder / "exported_program.pt2")
    return {path.name: f"{folder.name}/{path.name}" for path in sorted(folder.iterdir())}
