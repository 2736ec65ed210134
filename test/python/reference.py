"""What PyTorch in Python says about a model: the values that the tests hold this package to.

    python3 test/python/reference.py JOB.json OUT

JOB.json: {"models": {NAME: {"seed": 0, "input_seed": 1, "size": [...], "files": true, "cases": {CASE: {"method": ..., ...}}}}}
OUT/index.json: {"torch": version, "models": {NAME: {"files": {"scripted": ..., "traced": ...}, "input": TENSOR,
"cases": {CASE: {NAME: TENSOR or number or list}}}}}, where TENSOR is {"file", "shape", "dtype"}.

NAME is a key of models.MODELS. The methods are the functions below whose names begin with `case_`; `target` is a class,
a list with one class per image, or "sum"; `output` picks the scores where a model returns several things.
Neither the package under test nor TorchScript takes part in computing a value.
"""

import copy

import torch

import models
from hook_record import record_hooks
from job import answer
from methods import GradCam, GuidedBackPropogation, GuidedEveryRelu, enlarge, normalize, score_of

SCOPES = {"modules": GuidedBackPropogation, "all": GuidedEveryRelu}


def case_gradcam(model, x, layers, target, output=None):
    """Map, activation and gradient of each layer, all from one pass."""
    modules = [model.get_submodule(layer) for layer in layers]
    with GradCam(model, modules) as gcam:
        scores = pick(gcam(x.clone()), output)
        score_of(scores, target).backward()
    result = {"output": scores}
    for layer, module in zip(layers, modules):
        result[f"cam:{layer}"] = gcam.get(module)
        result[f"activation:{layer}"] = gcam.fmap_pool[module]
        result[f"gradient:{layer}"] = gcam.grad_pool[module]
    return result


def case_gradcam_last_call(model, x, layer, target, output=None):
    """For a layer that is called several times in a pass: the map of its last call.

    The document's pools would pair the last call's activation with the first call's gradient there.
    """
    returned = []

    def keep(_module, _inputs, value):
        value.retain_grad()
        returned.append(value)

    handle = model.get_submodule(layer).register_forward_hook(keep)
    scores = pick(model(x.clone()), output)
    score_of(scores, target).backward()
    handle.remove()
    last = returned[-1]
    cam = (last * last.grad.mean(dim=(2, 3), keepdim=True)).sum(dim=1, keepdim=True).clamp(min=0)
    return {"calls": len(returned), f"cam:{layer}": cam, f"activation:{layer}": last, f"gradient:{layer}": last.grad}


def case_ablation(model, x, layers, target):
    """Ablation-CAM of each layer, as Desai and Ramaswamy 2020 define it, with a run for each channel.

    Where a layer changes its input in place, and returns that, whoever reads the input later reads what the layer returned:
    a channel that is set to zero there is zero under both names.
    """

    def run(layer, channel):
        returned = []

        def ablate(_module, inputs, output):
            returned.append(output.clone())
            if channel is None:
                return None
            changed = output if output is inputs[0] else output.clone()
            changed[:, channel] = 0
            return changed

        handle = model.get_submodule(layer).register_forward_hook(ablate)
        with torch.no_grad():
            scores = model(x.clone())[:, target]
        handle.remove()
        return scores, returned[-1]

    result = {}
    for layer in layers:
        score, activation = run(layer, None)
        weights = torch.stack([(score - run(layer, k)[0]) / score for k in range(activation.shape[1])], 1)
        result[f"cam:{layer}"] = (weights[:, :, None, None] * activation).sum(dim=1, keepdim=True).clamp(min=0)
    return result


def case_guided(model, x, scope, target, output=None):
    """The gradient at the input and how many ReLUs were intercepted on the way to it."""
    leaf = x.clone().requires_grad_()
    with SCOPES[scope](model) as guided:
        # A copy goes in: a model that overwrites its input may not be given a leaf that requires a gradient.
        scores = pick(guided(leaf.clone()), output)
        score_of(scores, target).backward()
    return {"output": scores, "gradient": leaf.grad, "intercepted": guided.intercepted}


def case_gradient(model, x, target, output=None):
    """The plain gradient at the input: what guided backprop degenerates to where it intercepts nothing."""
    leaf = x.clone().requires_grad_()
    score_of(pick(model(leaf.clone()), output), target).backward()
    return {"gradient": leaf.grad}


def case_mixed(model, x, layer, target, scope="modules"):
    """The document's last lines: both maps at the input's size, their product, and each of them normalized."""
    size = list(x.shape[2:])
    gcam = enlarge(case_gradcam(model, x, [layer], target)[f"cam:{layer}"], size)
    grad = case_guided(model, x, scope, target)["gradient"].mean(dim=1, keepdim=True)
    return {"gcam": normalize(gcam), "grad": normalize(grad), "mixed": normalize(gcam * grad), "enlarged": gcam}


def case_forward(model, x):
    """Every tensor of the output, in order: of lists and tuples by position, of dictionaries as they were filled."""
    with torch.no_grad():
        return {"outputs": list(flat(model(x.clone())))}


def case_hooks(model, x, target="sum", output=None, layers=None):
    """Every call of every hook of one pass in order, with what it was given. See hook_record."""
    leaf = x.clone().requires_grad_()
    with record_hooks(model, layers) as events:
        score_of(pick(model(leaf), output), target).backward()
    return {"events": events, "gradient": leaf.grad}


def flat(value):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from flat(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from flat(part)


def pick(outputs, key):
    return outputs if key is None else outputs[key]


def stored(value, store):
    """`value` with each tensor in it written to a file and described."""
    if isinstance(value, torch.Tensor):
        return store(value)
    if isinstance(value, dict):
        return {name: stored(part, store) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [stored(part, store) for part in value]
    return value


def run_model(name, job, folder, store):
    model = models.build(name, job.get("seed", 0))
    x = models.example(name, job.get("input_seed", 1), job.get("size"))
    cases = {}
    for case, arguments in job["cases"].items():
        arguments = dict(arguments)
        method = globals()[f"case_{arguments.pop('method')}"]
        # A module that once had hooks of one kind refuses those of another, so that each case has a model of its own.
        cases[case] = stored(method(copy.deepcopy(model), x, **arguments), store)
    files = models.write_torchscript(name, model, x, folder) if job.get("files", True) else {}
    return {"files": files, "input": store(x), "cases": cases}


if __name__ == "__main__":
    answer(run_model)
