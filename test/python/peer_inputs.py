"""What Captum makes of a model at its input: the attributions that the tests hold this package to.

    python3 test/python/peer_inputs.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "layer": ..., "size": [...], "input_seed": ..., "guided": bool, "passes":
"one" or "many"}}}: with one, only what a single pass gives. Captum's guided methods see
only nn.ReLU modules, so they are asked where a net has no other. Its noise is drawn from the seeds that this package draws
from, sample by sample, and laid out in Captum's order.
"""

import copy
import warnings

import torch

import models
import peers
from job import answer
from reference import stored
from tensors import seeded

attr = peers.captum_attr()
warnings.filterwarnings("ignore")

SIGMA, SAMPLES, SEED = 0.3, 6, 11
KINDS = {"mean": "smoothgrad", "squared": "smoothgrad_sq", "variance": "vargrad"}


def noise(x):
    """Captum lays the copies of each image side by side."""
    samples = [seeded((1, *x.shape[1:]), SEED + s, x.dtype).expand(x.shape) for s in range(SAMPLES)]
    return torch.stack(samples, 1).flatten(0, 1) * SIGMA


def smoothed(method, x, target, kinds=tuple(KINDS), **options):
    drawn, normal = noise(x), torch.normal
    torch.normal = lambda _mean, _deviation: drawn
    try:
        tunnel = attr.NoiseTunnel(method)
        return {
            kind: tunnel.attribute(x.clone(), nt_type=KINDS[kind], nt_samples=SAMPLES, stdevs=SIGMA, target=target, **options)
            for kind in kinds
        }
    finally:
        torch.normal = normal


def gradients_of(model, x, target, guided):
    own = copy.deepcopy
    cases = {
        "gradient": attr.Saliency(own(model)).attribute(x.clone(), target=target, abs=False),
        "saliency": attr.Saliency(own(model)).attribute(x.clone(), target=target),
        "input-x-gradient": attr.InputXGradient(own(model)).attribute(x.clone(), target=target),
    }
    if guided:
        cases["guided-backprop"] = attr.GuidedBackprop(own(model)).attribute(x.clone(), target=target)
        cases["deconvnet"] = attr.Deconvolution(own(model)).attribute(x.clone(), target=target)
    return cases


def many_passes(model, x, target):
    own = copy.deepcopy
    gradients = attr.IntegratedGradients(own(model))
    integrated, delta = gradients.attribute(x.clone(), target=target, return_convergence_delta=True)
    baseline = torch.full_like(x, 0.25)
    few = gradients.attribute(x.clone(), baselines=baseline, target=target, n_steps=7)
    cases = {"integrated-gradients": integrated, "delta": delta, "few steps": few}
    for kind, value in smoothed(attr.Saliency(own(model)), x, target).items():
        cases[f"saliency {kind}"] = value
    integrate = attr.IntegratedGradients(own(model))
    cases["integrated-gradients mean"] = smoothed(integrate, x, target, ["mean"], n_steps=5)["mean"]
    return cases


def cases_of(model, x, target, layer, guided, passes):
    cases = gradients_of(model, x, target, guided)
    if passes == "many":
        cases.update(many_passes(model, x, target))
    if guided:
        whole = copy.deepcopy(model)
        cam = attr.GuidedGradCam(whole, whole.get_submodule(layer))
        cases["guided-grad-cam"] = cam.attribute(x.clone(), target=target)
    return {name: value.detach() for name, value in cases.items()}


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, job["input_seed"], job.get("size"))
    target = torch.tensor(job["classes"])
    cases = {"captum": stored(cases_of(model, x, target, job["layer"], job["guided"], job["passes"]), store)}
    alone = gradients_of(model, x[:1], target[:1], job["guided"])
    cases["captum, one image"] = stored({name: value.detach() for name, value in alone.items()}, store)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": cases}


if __name__ == "__main__":
    answer(run_model)
