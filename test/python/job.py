"""What the programs share that answer a job about several models."""

import json
import sys
from pathlib import Path

import torch

from tensors import Store


def answer(run_model):
    """Called as PROGRAM JOB.json OUT: has `run_model(name, part of the job, OUT, store)` answer for each model of the job,
    and writes OUT/index.json."""
    job_file, folder = sys.argv[1], Path(sys.argv[2])
    job = json.loads(Path(job_file).read_text())
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    index = {
        "torch": torch.__version__,
        "models": {name: run_model(name, part, folder, store) for name, part in job["models"].items()},
    }
    (folder / "index.json").write_text(json.dumps(index, indent=1))
