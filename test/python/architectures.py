"""Architectures of torchvision and timm with weights of their own, and what eager PyTorch says of them.

    python3 test/python/architectures.py JOB.json OUT

JOB.json: {NAME: {"layers": [PATH], "size": [...], "part": KEY or null, "input": "guided", "gradient" or null}}, where a name of
timm's begins with "timm:". Everything is in float64, where rounding decides nothing. All weights of a model are parts of a few blocks
of noise, so that files are small. Of each image the first class is explained whose maps at all layers say something. "input" is what
is said of the image itself.
"""

import json
import sys
import warnings
from pathlib import Path

import torch

from methods import GradCam
from reference import case_forward, case_gradient, case_guided, pick, stored
from tensors import Store

warnings.filterwarnings("ignore")
CLASSES = 7


def build(name):
    if name.startswith("timm:"):
        import timm

        return timm.create_model(name.removeprefix("timm:"), num_classes=CLASSES).eval()
    from torchvision import models

    if hasattr(models.segmentation, name):
        return getattr(models.segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES).eval()
    options = {"aux_logits": False, "transform_input": True, "init_weights": False} if name == "googlenet" else {}
    return getattr(models, name)(num_classes=CLASSES, **options).eval()


def deviation(name, tensor):
    """Of a weight: so that what goes through it keeps its size. A power of two, so that many weights share a block."""
    if tensor.dim() < 2:
        return 0.125
    fan_in = tensor[0].numel()
    return 2.0 ** round(torch.log2(torch.tensor((2 / fan_in) ** 0.5)).item())


def shared_weights(model, seed):
    """The state dict with other values, each a part of a block of noise."""
    generator = torch.Generator().manual_seed(seed)
    state = model.state_dict()
    floats = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
    kinds = {
        name: "positive" if name.endswith("running_var") else deviation(name, tensor) for name, tensor in floats.items()
    }
    blocks = {}
    for kind in dict.fromkeys(kinds.values()):
        size = max(floats[name].numel() for name in floats if kinds[name] == kind) + 4096
        noise = torch.randn(size, generator=generator, dtype=torch.float64)
        blocks[kind] = noise.abs() * 0.25 + 0.75 if kind == "positive" else noise * kind
    result = state.copy()
    result._metadata = state._metadata
    of_tensor = {}
    for name, tensor in state.items():
        if name not in floats:
            continue
        # What modules share has one value.
        if tensor.data_ptr() in of_tensor:
            result[name] = of_tensor[tensor.data_ptr()]
            continue
        block = blocks[kinds[name]]
        start = int(torch.randint(0, block.numel() - tensor.numel(), (), generator=generator))
        strides = torch.empty(tensor.shape, device="meta").stride()
        of_tensor[tensor.data_ptr()] = result[name] = block.as_strided(tensor.shape, strides, start)
    return result


def grad_cams(model, x, layers, part):
    """The class that is explained of each image, and the map of each layer."""
    chosen, maps = [None] * len(x), [None] * len(x)
    modules = [model.get_submodule(layer) for layer in layers]
    for target in range(CLASSES):
        with GradCam(model, modules) as gcam:
            # Nothing else requires a gradient.
            pick(gcam(x.clone().requires_grad_()), part)[:, target].sum().backward()
        cams = [gcam.get(module) for module in modules]
        for i in range(len(x)):
            if chosen[i] is None and all(cam[i].max() > 0 for cam in cams):
                chosen[i], maps[i] = target, [cam[i] for cam in cams]
        if None not in chosen:
            return chosen, [torch.stack(of_layer) for of_layer in zip(*maps)]
    raise RuntimeError(f"no class has a map at {layers} of every image")


def answer(name, job, folder, store):
    torch.manual_seed(0)
    model = build(name).double()
    weights = shared_weights(model, 1)
    model.load_state_dict(weights, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    file = f"{name.replace(':', '.')}.pth"
    torch.save(weights, folder / file)
    x = torch.randn(job["size"], generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    outputs = case_forward(model, x)
    classes, cams = grad_cams(model, x, job["layers"], job["part"])
    explained = {}
    if job["input"] == "guided":
        explained = case_guided(model, x, "all", classes, job["part"])
    elif job["input"] == "gradient":
        explained = case_gradient(model, x, classes, job["part"])
    return {
        "file": file,
        "input": store(x),
        "outputs": stored(outputs, store),
        "classes": classes,
        "cams": [store(cam) for cam in cams],
        "gradient": store(explained["gradient"]) if explained else None,
        "intercepted": explained.get("intercepted"),
        "modules": [path for path, _ in model.named_modules(remove_duplicate=False)],
    }


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    job = json.loads(Path(sys.argv[1]).read_text())
    index = {name: answer(name, part, folder, store) for name, part in job.items()}
    (folder / "index.json").write_text(json.dumps(index))
