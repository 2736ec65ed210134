"""Nets as torch.export.save writes them, what PyTorch in Python says of them, and programs that have to be refused.

    python3 test/python/exported.py JOB.json OUT

JOB.json: {"models": {NAME: {"layers", "target", "output", "size", "guided", "score_cam"}}}, where NAME is a key of models.MODELS.
Each is exported twice: for one image, and with a dynamic batch.
"""

import json
import sys
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

import models
import reference
import reruns
from job import answer
from tensors import Store

warnings.filterwarnings("ignore")


def save(model, args, file, **options):
    torch.export.save(torch.export.export(model, args, **options), str(file))
    return file.name


def write_programs(name, job, folder):
    """Not while the programs are answered for: what watches the gates there would be exported, too."""
    model, x = models.build(name, job.get("seed", 0)), models.example(name, 1, job.get("size"))
    dynamic = {0: torch.export.Dim("batch", min=1, max=64)}
    return {
        "static": save(model, (x[:1].clone(),), folder / f"{name}.static.pt2"),
        "dynamic": save(model, (x.clone(),), folder / f"{name}.dynamic.pt2", dynamic_shapes=(dynamic,)),
        "traced": write_traced(model, x, folder / f"{name}.traced.pt"),
    }


def write_traced(model, x, file):
    models.trace(model, x).save(str(file))
    return file.name


def run_model(name, job, folder, store):
    model = models.build(name, job.get("seed", 0))
    x = models.example(name, 1, job.get("size"))
    target, output = job["target"], job.get("output")
    cases = {
        "forward": reference.case_forward(model, x),
        "gradcam": reference.case_gradcam(models.build(name, job.get("seed", 0)), x, job["layers"], target, output),
    }
    if job.get("guided"):
        cases["guided"] = reference.case_guided(models.build(name, job.get("seed", 0)), x, "all", target, output)
    if job.get("score_cam"):  # before max(., 0), which leaves nothing of some
        exact, xs = models.build(name, job.get("seed", 0)).double(), x.double()
        scores = [reruns.score_of("class", None, i, {"class": target}) for i in range(len(xs))]
        maps = [reruns.score_cam(exact, job["layers"][0], xi, s) for xi, s in zip(xs, scores)]
        cases["scorecam"] = {"map": torch.stack([torch.from_numpy(m) for m in maps]).unsqueeze(1)}
    modules = [path for path, _ in model.named_modules()]
    return {
        "files": {},
        "input": store(x),
        "modules": modules,
        "cases": {case: reference.stored(value, store) for case, value in cases.items()},
    }


class Recurrent(nn.Module):
    """Its LSTM begins with zeros of the batch that it was exported for."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 6, 3, padding=1)
        self.rows = nn.LSTM(6 * 8, 10, batch_first=True)
        self.head = nn.Linear(10, 5)

    def forward(self, x):
        rows = torch.relu(self.features(x)).permute(0, 2, 1, 3).flatten(2)
        return self.head(self.rows(rows)[0][:, -1])


class Masked(nn.Module):
    """Attention with a mask that is expanded to the batch, as those of Hugging Face are."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 2, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        heads = tokens.reshape(len(x), 16, 2, 4).transpose(1, 2)
        earlier = torch.arange(16).view(1, 1, 1, 16) <= torch.arange(16).view(1, 1, 16, 1)
        mask = earlier.expand(len(x), -1, 16, 16)
        mixed = nn.functional.scaled_dot_product_attention(heads, heads, heads, attn_mask=mask)
        return self.head(mixed.transpose(1, 2).reshape(len(x), 16, 8).mean(1))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.colour = nn.Conv2d(3, 4, 3)
        self.far = nn.Conv2d(1, 4, 3)

    def forward(self, image, depth):
        return torch.relu(self.colour(image) + self.far(depth)).mean((2, 3))


class Two(nn.Module):
    def __init__(self, part):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.part = part

    def forward(self, x):
        return self.part(self.conv(x))


class Autocast(nn.Module):
    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16, enabled=False):
            y = torch.nn.functional.relu(x)
        return y.mean((2, 3))


class NoGrad(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            scale = x.mean((2, 3), keepdim=True)
        return (x * scale).sum((2, 3))


class Quantized(nn.Module):
    """As quantization of exported programs leaves it: an operator that is written in Python."""

    def forward(self, x):
        from torch.ao.quantization.fx import _decomposed  # noqa: F401

        rounded = torch.ops.quantized_decomposed.quantize_per_tensor(x, 0.1, 0, -128, 127, torch.int8)
        return torch.ops.quantized_decomposed.dequantize_per_tensor(rounded, 0.1, 0, -128, 127, torch.int8)


def flat_layout(model, args, file):
    """As torch 2.5 to 2.7 lay the file out: one flat archive with what torch.save wrote inside."""
    from torch._export.serde.serialize import serialize

    artifact = serialize(torch.export.export(model, args))
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("version", "8.1")
        archive.writestr("serialized_exported_program.json", artifact.exported_program)
        archive.writestr("serialized_state_dict.pt", artifact.state_dict)
        archive.writestr("serialized_constants.pt", artifact.constants)
        archive.writestr("serialized_example_inputs.pt", artifact.example_inputs)
    return file.name


def write_special(folder):
    """Programs of one trait each."""
    store = Store(folder / "special")
    torch.manual_seed(0)
    x = torch.randn(5, 3, 8, 8)
    found = {}

    def add(name, model, file, image=x):
        with torch.no_grad():
            found[name] = {"file": f"special/{file}", "input": store(image), "output": store(model(image.clone()))}

    recurrent = Recurrent().eval()
    path = folder / "special"
    add("recurrent", recurrent, save(recurrent, (x[:2],), path / "recurrent.pt2"))
    pair, depth = Pair().eval(), x[:, :1].clone()
    file = save(pair, (x[:2], depth[:2]), path / "pair.pt2")
    found["pair"] = {"file": f"special/{file}", "input": store(x), "output": store(pair(x, depth).detach())}
    masked = Masked().eval()
    add("masked attention", masked, save(masked, (x[:2],), path / "masked.pt2"))
    plain = models.build("plain", 0)
    image = models.example("plain", 1)
    add("flat layout", plain, flat_layout(plain, (image,), path / "flat.pt2"), image)
    add("autocast off", Autocast().eval(), save(Autocast().eval(), (x,), path / "autocast_off.pt2"))
    add("no_grad", NoGrad().eval(), save(NoGrad().eval(), (x,), path / "no_grad.pt2"))
    refused = {
        "quantized": save(Two(Quantized()).eval(), (x,), path / "quantized.pt2"),
        "training": save(Two(nn.BatchNorm2d(4)).train(), (x,), path / "training.pt2"),
    }
    with zipfile.ZipFile(path / "compiled.pt2", "w") as archive:
        archive.writestr("model/archive_format", "pt2")
        archive.writestr("model/data/aotinductor/model/model.so", "machine code")
    refused["compiled"] = "compiled.pt2"
    (path / "index.json").write_text(json.dumps({"programs": found, "refused": refused}))


if __name__ == "__main__":
    answer(run_model)
    folder = Path(sys.argv[2])
    index = json.loads((folder / "index.json").read_text())
    for name, job in json.loads(Path(sys.argv[1]).read_text())["models"].items():
        index["models"][name]["files"] = write_programs(name, job, folder)
    (folder / "index.json").write_text(json.dumps(index))
    write_special(folder)
