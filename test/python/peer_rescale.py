"""What Captum's DeepLift makes of a model.

    python3 test/python/peer_rescale.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "size": [...]}}}. Captum sees only the modules that it has a rule for, each
called once. Where two of them follow one another, both hook the tensor in between: the first takes the gradient before the
second has put its rule in, which is lost. And where windows overlap, max_unpool keeps one of several values. In these cases
its own convergence delta says how far off it is.
"""

import copy
import warnings

import torch

import models
import peers
from job import answer
from tensors import seeded

attr = peers.captum_attr()
warnings.filterwarnings("ignore")


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job.get("size"))
    target = torch.tensor(job["classes"])
    one = seeded((1, *x.shape[1:]), 3, x.dtype) / 4
    cases = {"one baseline": store(one)}
    for what, baseline in {"zeros": None, "one": one, "each": seeded(x.shape, 4, x.dtype) / 4}.items():
        method = attr.DeepLift(copy.deepcopy(model))
        found, delta = method.attribute(x.clone(), baselines=baseline, target=target, return_convergence_delta=True)
        cases[what], cases[f"{what} delta"] = store(found), store(delta)
        if what == "each":
            cases["each baseline"] = store(baseline)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": {"captum": cases}}


if __name__ == "__main__":
    answer(run_model)
