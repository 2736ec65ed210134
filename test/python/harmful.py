"""Models that never end, that reach files, that lie about their weights, or that warn.

    python3 test/python/harmful.py OUT

Writes OUT/NAME.pt for each class below, and OUT/lies/NAME.pt: the model Plain with something in the archive changed.
OUT/pickles.json: [{"name", "protocol", "pickle": base64, "value"}], pickles of Python's own, with their values as JSON has them.
"""

import base64
import io
import json
import pickle
import re
import sys
import warnings
import zipfile
from pathlib import Path
from typing import Tuple

import torch
from torch import Tensor, nn

OUT = Path(sys.argv[1])


class Plain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.late = nn.Conv2d(4, 4, 3, padding=1)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.late(torch.relu(self.conv(x))).mean([2, 3]))


def spin(x: Tensor) -> Tensor:
    """A function, not a method, which never returns for images of numbers below 1e9."""
    while bool(x.amax() < 1e9):
        x = x * 0.5
    return x


class LoopsWithoutOperators(Plain):
    def forward(self, x: Tensor) -> Tensor:
        i = 0
        while i >= 0:
            i = 1
        return self.fc(self.late(torch.relu(self.conv(x))).mean([2, 3]))


class LoopsBeforeLayer(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.late(torch.relu(self.conv(spin(x)))).mean([2, 3]))


class LoopsAfterLayer(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(spin(self.late(torch.relu(self.conv(x)))).mean([2, 3]))


class LoopsInLoop(Plain):
    def forward(self, x: Tensor) -> Tensor:
        for i in range(9000000000000000000):
            for j in range(3):
                x = x + 0.0 * float(i * j)
        return self.fc(self.late(torch.relu(self.conv(x))).mean([2, 3]))


class LoopsInForks(Plain):
    """The loop is in code that is forked, whose results are kept in a list."""

    def forward(self, x: Tensor) -> Tensor:
        waiting = [torch.jit.fork(spin, x + float(i)) for i in range(2)]
        total = x
        for each in waiting:
            total = total + torch.jit.wait(each)
        return self.fc(self.late(torch.relu(self.conv(total))).mean([2, 3]))


class Loops(Plain):
    """An ordinary loop, whose result counts."""

    def forward(self, x: Tensor) -> Tensor:
        for i in range(200):
            x = x + 0.01 * float(i % 3)
        return self.fc(self.late(torch.relu(self.conv(x))).mean([2, 3]))


class State(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.z = torch.zeros(1)
        self.training = False

    @torch.jit.export
    def __getstate__(self):
        return (self.z, self.training)


class SpinningState(State):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.training = state[1]
        self.z = state[0]
        while bool(self.z.sum() < 1):
            self.z = self.z * 0

    def forward(self, x: Tensor) -> Tensor:
        return x


class WritingState(State):
    @torch.jit.export
    def __setstate__(self, state: Tuple[Tensor, bool]):
        self.training = state[1]
        y = torch.from_file("/nowhere/written", True, 16, dtype=torch.uint8)
        y.fill_(66)
        self.z = y

    def forward(self, x: Tensor) -> Tensor:
        return x


class LoopsAtLoad(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.state = SpinningState()

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.late(torch.relu(self.conv(self.state(x)))).mean([2, 3]))


class WritesAtLoad(LoopsAtLoad):
    def __init__(self) -> None:
        super().__init__()
        self.state = WritingState()


class ReadsFile(Plain):
    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor]:
        return self.fc(self.conv(x).mean([2, 3])), torch.from_file("/etc/passwd", False, 8, dtype=torch.uint8)


class SavesFile(Plain):
    def forward(self, x: Tensor) -> Tensor:
        torch.save(x, "/nowhere/saved")
        return self.fc(self.conv(x).mean([2, 3]))


class TakesMemory(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.conv(x).mean([2, 3])) + torch.ones([60000, 60000]).sum()


class HasOwnSave(Plain):
    """Text and names that only look like what is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.saved = 3
        self.note = "aten::save from_file"

    def forward(self, x: Tensor) -> Tensor:
        saved = self.fc(self.conv(x).mean([2, 3]))
        return saved * self.saved


class Warns(Plain):
    def forward(self, x: Tensor) -> Tensor:
        warnings.warn("the model speaks")
        return self.fc(self.late(torch.relu(self.conv(x))).mean([2, 3]))


class WarnsAndFails(Plain):
    def forward(self, x: Tensor) -> Tensor:
        warnings.warn("before it fails")
        return self.fc(self.conv(x.reshape([1, 2, 3])).mean([2, 3]))


MODELS = [
    Plain, Loops, LoopsWithoutOperators, LoopsBeforeLayer, LoopsAfterLayer, LoopsInLoop, LoopsInForks, LoopsAtLoad, WritesAtLoad,
    ReadsFile, SavesFile, TakesMemory, HasOwnSave, Warns, WarnsAndFails,
]  # fmt: skip


def bytes_of(model):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(model.eval()), buffer)
    return buffer.getvalue()


def rewritten(whole, change):
    """The archive with each record that `change(name, bytes)` returns; None leaves one out."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as source, zipfile.ZipFile(result, "w") as target:
        for info in source.infolist():
            changed = change(info.filename, source.read(info.filename))
            for name, content in [] if changed is None else changed if isinstance(changed, list) else [(info.filename, changed)]:
                target.writestr(zipfile.ZipInfo(name), content)
    return result.getvalue()


def only(ending, edit):
    return lambda name, content: edit(content) if name.endswith(ending) else content


def deep_list(levels):
    return b"\x80\x02" + b"]" * levels + b"a" * (levels - 1) + b"."


def largest(whole):
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        return max((i for i in archive.infolist() if "/data/" in i.filename), key=lambda i: i.file_size).filename


def code(edit):
    return lambda whole: rewritten(whole, lambda n, c: edit(c.decode()).encode() if re.search(r"/code/__torch__\.py$", n) else c)


def returning(expression):
    return code(lambda text: re.sub(r"return (.*)", lambda found: "return " + expression(found[1]), text, count=1))


def overwritten(whole, at, content):
    return whole[:at] + content + whole[at + len(content) :]


def directory_entry(whole, name):
    """Where the directory's entry of the record of this name begins."""
    return whole.rindex(name.encode()) - 46


LIES = {
    "short record": lambda whole: rewritten(whole, lambda n, c: c[:-4] if n == largest(whole) else c),
    "no record": lambda whole: rewritten(whole, lambda n, c: None if n == largest(whole) else c),
    # The first integers of data.pkl after a storage are the offset and the sizes.
    "large size": lambda whole: rewritten(whole, only("/data.pkl", lambda c: c.replace(b"K\x04K\x03K\x03K\x03", b"K\xffK\x03K\x03K\x03", 1))),
    "large offset": lambda whole: rewritten(whole, only("/data.pkl", lambda c: re.sub(rb"Qq(.)K\x00\(", lambda found: b"Qq" + found[1] + b"K\xff(", c, count=1, flags=re.S))),
    "negative size": lambda whole: rewritten(whole, only("/data.pkl", lambda c: c.replace(b"(K\x04K\x03K\x03K\x03t", b"(J\xff\xff\xff\xffK\x03K\x03K\x03t", 1))),
    "wider elements": lambda whole: rewritten(whole, only("/data.pkl", lambda c: c.replace(b"FloatStorage", b"DoubleStorage"))),
    "two records of one name": lambda whole: rewritten(whole, lambda n, c: [(n, c), (n, c)] if n == largest(whole) else c),
    "another case": lambda whole: rewritten(whole, lambda n, c: [(n, c), (n.replace("data.pkl", "DATA.PKL"), c)] if n.endswith("/data.pkl") else c),
    "deep values": lambda whole: rewritten(whole, only("/data.pkl", lambda c: deep_list(100000))),
    "deep constants": lambda whole: rewritten(whole, only("/constants.pkl", lambda c: deep_list(100000))),
    "values in themselves": lambda whole: rewritten(whole, only("/data.pkl", lambda c: b"\x80\x02]q\x00h\x00a.")),
    "unknown opcode": lambda whole: rewritten(whole, only("/data.pkl", lambda c: b"\x80\x02\xfe.")),
    "huge memo": lambda whole: rewritten(whole, only("/data.pkl", lambda c: b"\x80\x02]r\xff\xff\xff\x0fa.")),
    "huge constant memo": lambda whole: rewritten(whole, only("/constants.pkl", lambda c: b"\x80\x02)r" + b"\x00\x01\x00\x00.")),
    "nothing to take": lambda whole: rewritten(whole, only("/data.pkl", lambda c: b"\x80\x02a.")),
    "endless brackets": returning(lambda value: "(" * 60000 + value + ")" * 60000),
    "endless operators": returning(lambda value: value + " + 1" * 60000),
    "endless signs": returning(lambda value: "-" * 60000 + "(" + value + ")"),
    "endless blocks": code(lambda text: re.sub(r"\n    return", "\n" + "".join("  " * (i + 2) + "if True:\n" for i in range(2000)) + "  " * 2002 + "pass\n    return", text, count=1)),
    "record beyond the end": lambda whole: overwritten(whole, directory_entry(whole, largest(whole)) + 42, b"\xf0\xff\xff\x7f"),
    "size beyond the end": lambda whole: overwritten(whole, directory_entry(whole, largest(whole)) + 20, b"\xf0\xff\xff\x7f" * 2),
    "end cut off": lambda whole: whole[:-30],
}  # fmt: skip


def main():
    (OUT / "lies").mkdir(parents=True, exist_ok=True)
    for kind in MODELS:
        torch.manual_seed(4)
        (OUT / f"{kind.__name__}.pt").write_bytes(bytes_of(kind()))
    # Freezing inlines the function, so that the loop stands in the forked code itself.
    torch.jit.save(torch.jit.freeze(torch.jit.script(LoopsInForks().eval())), OUT / "LoopsInFrozenForks.pt")
    whole = (OUT / "Plain.pt").read_bytes()
    # What could be said in other words, by hand.
    edit = code(lambda text: re.sub(r"return (.*)", r'x.save("/nowhere/x")\n    return \1', text, count=1))
    (OUT / "SavesByAttribute.pt").write_bytes(edit(whole))
    edit = code(lambda text: re.sub(r"return (.*)", r'getattr(x, "save")("/nowhere/x")\n    return \1', text, count=1))
    (OUT / "SavesByGetattr.pt").write_bytes(edit(whole))
    for name, lie in LIES.items():
        told = lie(whole)
        if told in (whole, rewritten(whole, lambda _name, content: content)):
            raise RuntimeError(f"{name} changed nothing")
        (OUT / "lies" / f"{name}.pt").write_bytes(told)
    values = {
        "numbers": [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**53 - 1, -(2**53) + 1, 0.5, -1e300, True, False, None],
        "texts": ["", "a", "ß日🐈", "x" * 300, "line\nline", "nul\0"],
        "nested": [[], [[1], [2, [3, [4]]]], {"a": {"b": [1, {"c": None}]}, "d": []}],
        "shared": [shared := ["once"], shared, {"again": shared}],
        "long": list(range(3000)),
    }  # fmt: skip
    pickles = [
        {"name": name, "protocol": protocol, "pickle": base64.b64encode(pickle.dumps(value, protocol)).decode(), "value": value}
        for name, value in values.items()
        for protocol in (2, 3, 4)
    ]
    (OUT / "pickles.json").write_text(json.dumps(pickles))


if __name__ == "__main__":
    main()
