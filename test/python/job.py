"""What the programs share that answer a job about several models."""

import json
import sys
from functools import partial
from pathlib import Path

import torch

import models
from arithmetic import in_float64
from gates import OtherSide, Watch, check_margin
from tensors import Store


def run_exactly_too(run_model, name, part, folder, store):
    """What run_model says of a model; of one in float32 what it says in float64 as well, as "exact", and that with the gates
    turned that float32 cannot tell, and the sums moved that it cancels in, as "other side". By these test/support/judged.ts says what float32 may be off. A part that
    is "decided" has images on which there are none of the latter; it fails where there are. Where rounding is beyond the margin, it
    fails too, unless the part "may_be_rounding", as a random net may: then the result says "is_rounding"."""
    watch = Watch()
    with watch:
        result = run_model(name, part, folder, store)
    if models.MODELS[part.get("net", name)].dtype != torch.float32:
        return result
    with in_float64():
        exact = Watch()
        with exact:
            result["exact"] = result["other side"] = run_model(name, part, folder, store)["cases"]
        try:
            check_margin(watch, exact)
        except RuntimeError:
            if not part.get("may_be_rounding"):
                raise
            return {**result, "is_rounding": True}
        if exact.undecided == 0 and exact.cancelling == 0:
            return result
        if part.get("decided") and exact.undecided > 0:
            raise RuntimeError(f"{exact.undecided} gates of {name} are undecided on these images: see find_decided.py")
        with OtherSide():
            result["other side"] = run_model(name, part, folder, store)["cases"]
    return result


def answer(run_model, exactly_too=True):
    """Called as PROGRAM JOB.json OUT: has `run_model(name, part of the job, OUT, store)` answer for each model of the job,
    and writes OUT/index.json."""
    job_file, folder = sys.argv[1], Path(sys.argv[2])
    job = json.loads(Path(job_file).read_text())
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    run = partial(run_exactly_too, run_model) if exactly_too else run_model
    index = {
        "torch": torch.__version__,
        "models": {name: run(name, part, folder, store) for name, part in job["models"].items()},
    }
    (folder / "index.json").write_text(json.dumps(index, indent=1))
