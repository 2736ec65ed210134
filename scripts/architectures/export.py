"""Exports torchvision's architectures without their weights: the first half of scripts/architectures/write.mjs.

    python3 scripts/architectures/export.py OUT NAME...

writes OUT/NAME.pt2 and OUT/NAME.json (which tensors depend on the number of classes, and what published weights need), and
OUT/imagenet-labels.json. Needs torch and torchvision.
"""

import json
import sys
from pathlib import Path

import torch
from torchvision import models
from torchvision.models._meta import _IMAGENET_CATEGORIES
from torchvision.transforms import InterpolationMode

SEGMENTATION = {"fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_mobilenet_v3_large",
                "lraspp_mobilenet_v3_large"}  # fmt: skip
# They take images of one size alone.
FIXED = ("vit", "swin", "maxvit")
AUXILIARY = {"googlenet": ["aux1.", "aux2."], "inception_v3": ["AuxLogits."]}


def build(name, classes):
    torch.manual_seed(0)
    if name in SEGMENTATION:
        return getattr(models.segmentation, name)(weights=None, weights_backbone=None, num_classes=classes).eval()
    if name in AUXILIARY:
        # As torchvision builds them for published weights.
        return getattr(models, name)(
            num_classes=classes, aux_logits=False, transform_input=True, init_weights=False
        ).eval()
    return getattr(models, name)(num_classes=classes).eval()


def preprocess(weights):
    transforms = weights.transforms()
    resample = {InterpolationMode.BILINEAR: "bilinear", InterpolationMode.BICUBIC: "bicubic"}[transforms.interpolation]
    common = {"resample": resample, "mean": list(transforms.mean), "std": list(transforms.std)}
    if hasattr(transforms, "crop_size"):
        return {"resize": transforms.resize_size[0], "crop": [transforms.crop_size[0]] * 2, **common}
    return {"resize": transforms.resize_size[0] if isinstance(transforms.resize_size, list) else transforms.resize_size,
            **common}  # fmt: skip


def published(name):
    found = []
    for weights in models.get_model_weights(name):
        found.append({"file": weights.url.rsplit("/", 1)[1], "preprocess": preprocess(weights)})
    return found


def export(model, size, fixed):
    x = torch.randn(2, 3, size, size)
    batch = torch.export.Dim("batch", min=1, max=65536)
    shapes = {0: batch}
    if not fixed:
        shapes |= {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
        x = torch.randn(2, 3, size, size + 32)
    try:
        return torch.export.export(model, (x,), dynamic_shapes=(shapes,)), fixed
    except Exception:
        if fixed:
            raise
        return export(model, size, True)


def write(out, name):
    default = models.get_model_weights(name)
    crop = next((p["preprocess"]["crop"][0] for p in published(name) if "crop" in p["preprocess"]), 224)
    segmentation = name in SEGMENTATION
    classes = 21 if segmentation else 1000
    model = build(name, classes)
    other = build(name, classes + 3).state_dict()
    program, fixed = export(model, crop, name.startswith(FIXED))
    torch.export.save(program, out / f"{name}.pt2")
    state = model.state_dict()
    facts = {
        "name": name,
        "family": name.split("_")[0].rstrip("0123456789") if not segmentation else "segmentation",
        "parameters": sum(p.numel() for p in model.parameters()),
        "classes": classes,
        "size": [crop, crop] if fixed else None,
        "weights": published(name),
        "byClass": [key for key, value in state.items() if value.shape != other[key].shape],
        "state": list(state),
        "unused": ["aux_classifier."] if segmentation else AUXILIARY.get(name, []),
    }
    (out / f"{name}.json").write_text(json.dumps(facts))
    print(name, "fixed size" if fixed else "any size", len(list(default)), "published", flush=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    (out / "imagenet-labels.json").write_text(json.dumps(_IMAGENET_CATEGORIES, ensure_ascii=False))
    for name in sys.argv[2:]:
        write(out, name)
