"""Models in every form that they can be given in, and their Grad-CAM by eager PyTorch: the Python half of zoo.mjs.

    python3 scripts/zoo/model.py OUT

Reads lines of JSON from standard input. {"name": NAME, "size": SIDE or null} writes OUT/{scripted.pt,traced.pt,exported.pt2,weights.pth,input.bin,output.bin}
and prints what it wrote as JSON, {"size", "failures", "part"}, or {"error"}. {"layer": PATH, "reshape": ...} writes OUT/cam.bin of the
last one and prints {"norm"}; with "exact": true it prints {"rounding"}, how far its own map is from that of float64. NAME is one of torchvision's, or timm:NAME.
"""

import copy
import gc
import json
import sys
import warnings
from pathlib import Path

import torch

warnings.filterwarnings("ignore")

def build(name):
    """With random weights, also where a network begins with zeros: a head of zeros gives the same map in every form."""
    model = create(name)
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, std=0.02)
    return model


def create(name):
    torch.manual_seed(0)
    if name.startswith("timm:"):
        import timm

        # Some are published for features alone, without a last layer.
        return timm.create_model(name[5:], pretrained=False, num_classes=1000).eval()
    from torchvision import models

    if hasattr(models.segmentation, name):
        return getattr(models.segmentation, name)(weights=None, weights_backbone=None).eval()
    if name in ("googlenet", "inception_v3"):
        return getattr(models, name)(aux_logits=False, transform_input=True, init_weights=False).eval()
    return getattr(models, name)().eval()


def positions(value, reshape):
    """[N, C, positions]: of what a layer of a convolutional net returns, of tokens, and of channels that come last."""
    if reshape is None:
        return value.flatten(2)
    if reshape == "swin":
        return value.permute(0, 3, 1, 2).flatten(2)
    return value[:, 1 if reshape == "vit" else reshape["skip"] :].transpose(1, 2)


def attempt(write):
    try:
        write()
        return None
    except Exception as error:
        return str(error).strip().split("\n")[0][:120]


def write(out, name, size):
    """All forms of a model; returns it with its input, and what is said of them."""
    model = build(name)
    size = size or (299 if "inception" in name and name != "googlenet" else 96)
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        output = model(x)
    scores = output["out"] if isinstance(output, dict) else output
    batch = torch.export.Dim("batch", min=1, max=64)
    failures = {
        "scripted": attempt(lambda: torch.jit.script(model).save(str(out / "scripted.pt"))),
        "traced": attempt(lambda: torch.jit.trace(model, x, check_trace=False, strict=False).save(str(out / "traced.pt"))),
        "exported": attempt(
            lambda: torch.export.save(
                torch.export.export(model, (x,), dynamic_shapes=({0: batch},)), str(out / "exported.pt2")
            )
        ),
        "weights": attempt(lambda: torch.save(model.state_dict(), out / "weights.pth")),
    }
    (out / "input.bin").write_bytes(x.numpy().tobytes())
    (out / "output.bin").write_bytes(scores.contiguous().numpy().tobytes())
    return (model, x), {"size": size, "failures": failures, "part": "out" if isinstance(output, dict) else None}


def cam_of(model, x, asked):
    """Grad-CAM before its ReLU."""
    kept = []

    def keep(_module, _inputs, value):
        value.retain_grad()
        kept.append(value)
        # What follows may write into what the layer returned, as densenet's last ReLU does.
        return value.clone()

    handle = model.get_submodule(asked["layer"]).register_forward_hook(keep)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    result = model(x.clone().requires_grad_())
    result = result["out"] if isinstance(result, dict) else result
    (result[:, 1].sum()).backward()
    handle.remove()
    value, gradient = positions(kept[-1], asked.get("reshape")), positions(kept[-1].grad, asked.get("reshape"))
    return (value * gradient.mean(2, keepdim=True)).sum(1).detach().double()


def explain(out, model, x, asked):
    before = cam_of(model, x, asked)
    if asked.get("exact"):
        exact = cam_of(copy.deepcopy(model).double(), x.double(), asked)
        return {"rounding": float((before - exact).norm() / exact.norm())}
    (out / "cam.bin").write_bytes(before.clamp(min=0).float().contiguous().numpy().tobytes())
    return {"norm": float(before.norm())}


def answer(line, out, last):
    """What is said of one line, and the model that the next one may ask about."""
    asked = json.loads(line)
    try:
        if "name" not in asked:
            return last, explain(out, *last, asked)
        for file in out.iterdir():
            file.unlink()
        gc.collect()
        return write(out, asked["name"], asked["size"])
    except Exception as error:
        return None, {"error": str(error).strip().split("\n")[0][:120]}


if __name__ == "__main__":
    folder, model = Path(sys.argv[1]), None
    for line in sys.stdin:
        model, said = answer(line, folder, model)
        print(json.dumps(said), flush=True)
