"""Nets after torch.jit.freeze, and what eager PyTorch says of the layers that their operators came from.

    python3 test/python/frozen.py JOB.json OUT

JOB.json: {"models": {NAME: {"layers": [PATH], "target", "size", "guided"}}}, where NAME is a key of models.MODELS, and the paths are
those of the eager net.
"""

import json
import sys
from pathlib import Path

import torch

import models
import reference
from job import answer


def freeze(name, job, folder):
    model, x = models.build(name, 0), models.example(name, 1, job.get("size"))
    files = {"scripted": f"{name}.scripted.pt", "traced": f"{name}.traced.pt"}
    torch.jit.freeze(models.script(model)).save(str(folder / files["scripted"]))
    torch.jit.freeze(models.trace(model, x)).save(str(folder / files["traced"]))
    return files


def run_model(name, job, folder, store):
    x = models.example(name, 1, job.get("size"))
    cases = {
        "forward": reference.case_forward(models.build(name, 0), x),
        "gradcam": reference.case_gradcam(models.build(name, 0), x, job["layers"], job["target"]),
        "gradient": reference.case_gradient(models.build(name, 0), x, job["target"]),
    }
    if job.get("guided"):
        cases["guided"] = reference.case_guided(models.build(name, 0), x, "all", job["target"])
    stored = {case: reference.stored(value, store) for case, value in cases.items()}
    return {"files": {}, "input": store(x), "cases": stored}


if __name__ == "__main__":
    answer(run_model)
    folder = Path(sys.argv[2])
    index = json.loads((folder / "index.json").read_text())
    for name, job in json.loads(Path(sys.argv[1]).read_text())["models"].items():
        index["models"][name]["files"] = freeze(name, job, folder)
    (folder / "index.json").write_text(json.dumps(index))
