"""Exports torchvision's and timm's architectures without their weights: the first half of scripts/architectures/write.mjs.

    python3 scripts/architectures/export.py OUT NAME...

writes OUT/NAME.pt2 and OUT/NAME.json for each (which tensors depend on the number of classes, which have several names, and what
published weights need), and OUT/imagenet-labels.json. It prints the line "done NAME" after each, and waits for a line of input before the next. A name of timm's
begins with "timm:". Needs torch and torchvision, and timm for its own names.
"""

import json
import math
import sys
import warnings
from pathlib import Path

import torch
from torch import nn
from torchvision import models
from torchvision.models._meta import _IMAGENET_CATEGORIES
from torchvision.transforms import InterpolationMode

warnings.filterwarnings("ignore")

# They take images of one size alone.
FIXED = ("vit", "swin", "maxvit", "timm:vit", "timm:deit", "timm:swin", "timm:beit", "timm:cait", "timm:pit", "timm:mixer",
         "timm:eva", "timm:tf_", "timm:maxvit", "timm:coatnet", "timm:levit", "timm:crossvit")  # fmt: skip
AUXILIARY = {"googlenet": ["aux1.", "aux2."], "inception_v3": ["AuxLogits."]}
RESAMPLE = {"bilinear": "bilinear", "bicubic": "bicubic"}


class Torchvision:
    def __init__(self, name):
        self.name = name
        self.is_segmentation = hasattr(models.segmentation, name)
        self.unused = ["aux_classifier."] if self.is_segmentation else AUXILIARY.get(name, [])
        self.family = "segmentation" if self.is_segmentation else name.split("_")[0].rstrip("0123456789")

    def build(self, classes=None):
        if self.is_segmentation:
            options = {"weights": None, "weights_backbone": None, "num_classes": classes or 21}
            return getattr(models.segmentation, self.name)(**options).eval()
        options = {"num_classes": classes or 1000}
        if self.name in AUXILIARY:
            # As torchvision builds them for published weights.
            options |= {"aux_logits": False, "transform_input": True, "init_weights": False}
        return getattr(models, self.name)(**options).eval()

    def published(self):
        return [
            {"file": weights.url.rsplit("/", 1)[1], "preprocess": self.preprocess(weights.transforms())}
            for weights in models.get_model_weights(self.name)
        ]

    def size(self, published):
        # The first published weights of vit_h_14 are for images of 518; its definition is for 224.
        sizes = [each["preprocess"]["crop"][0] for each in published if "crop" in each["preprocess"]]
        return 224 if self.name == "vit_h_14" or not sizes else sizes[0]

    @staticmethod
    def preprocess(transforms):
        resample = {InterpolationMode.BILINEAR: "bilinear", InterpolationMode.BICUBIC: "bicubic"}
        common = {
            "resample": resample[transforms.interpolation],
            "mean": list(transforms.mean),
            "std": list(transforms.std),
        }
        sizes = transforms.resize_size
        resize = sizes[0] if isinstance(sizes, list) else sizes
        if hasattr(transforms, "crop_size"):
            return {"resize": resize, "crop": [transforms.crop_size[0]] * 2, **common}
        return {"resize": resize, **common}


class Timm:
    unused = []

    def __init__(self, name):
        self.name = name
        self.own = name.removeprefix("timm:")
        self.family = self.own.split("_")[0].rstrip("0123456789")

    def build(self, classes=None):
        import timm

        # Some are published for features alone, without a last layer.
        return timm.create_model(self.own, pretrained=False, num_classes=classes or 1000).eval()

    def published(self):
        """By the names that they have on the hub: architecture.tag. The first is the one that timm takes by default."""
        from timm.models import get_arch_pretrained_cfgs, get_pretrained_cfg

        default = get_pretrained_cfg(self.own)
        cfgs = get_arch_pretrained_cfgs(self.own)
        ordered = sorted(cfgs.items(), key=lambda item: item[1].tag != default.tag)
        return [
            {"file": name, "preprocess": self.preprocess(cfg)}
            for name, cfg in ordered
            if cfg.has_weights and cfg.num_classes == 1000 and self.is_known(cfg)
        ]

    def size(self, _published):
        from timm.models import get_pretrained_cfg

        return get_pretrained_cfg(self.own).input_size[1]

    @staticmethod
    def is_known(cfg):
        square = cfg.input_size[0] == 3 and cfg.input_size[1] == cfg.input_size[2]
        return square and cfg.interpolation in RESAMPLE and cfg.crop_mode in ("center", "squash")

    @staticmethod
    def preprocess(cfg):
        size = cfg.input_size[1]
        resize = math.floor(size / cfg.crop_pct)
        return {
            "resize": resize if cfg.crop_mode == "center" else [resize, resize],
            "crop": [size, size],
            "resample": RESAMPLE[cfg.interpolation],
            "mean": list(cfg.mean),
            "std": list(cfg.std),
        }


def skip_values():
    """Parameters get their values from files of weights, and the largest architectures take a minute to fill with noise."""
    for name in dir(nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(nn.init, name, lambda tensor, *_, **__: tensor)


def drop_values(model):
    """Leaves parameters that lie over each other, none in the same place as another, so that the exported file is small."""
    parameters = list(model.parameters())
    block = torch.zeros(max((p.numel() for p in parameters), default=0) + len(parameters))
    for start, parameter in enumerate(parameters):
        parameter.data = block[start : start + parameter.numel()].view(parameter.shape)


def shapes_of(source, classes):
    try:
        with torch.device("meta"):
            state = source.build(classes).state_dict()
    except Exception:
        state = source.build(classes).state_dict()  # its definition computes with tensors
    return {name: value.shape for name, value in state.items()}


def shared_names(model):
    """The names of each parameter or buffer that several modules hold, such as the position encodings of coat's blocks."""
    names = {}
    for name, value in model.state_dict(keep_vars=True).items():
        names.setdefault(id(value), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def export(model, size, fixed, file):
    """Writes the program, with any size of images where the definition allows it; returns whether it takes one size alone."""
    batch = torch.export.Dim("batch", min=1, max=65536)
    shapes = {0: batch}
    x = torch.randn(2, 3, size, size)
    if not fixed:
        shapes |= {2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC}
        x = torch.randn(2, 3, size, size + 32)
    try:
        with torch.no_grad():
            program = torch.export.export(model, (x,), dynamic_shapes=(shapes,))
            # A size of one position inside the model is taken for a constant: of timm's vgg, 224 x 224 would be refused.
            program.module()(torch.randn(2, 3, size, size))
        # Some sizes that depend on that of the image have no written form, such as mobilevit's, which are rounded up.
        torch.export.save(program, file)
        return fixed
    except Exception:
        if fixed:
            raise
        return export(model, size, True, file)


def write(out, name):
    source = Timm(name) if name.startswith("timm:") else Torchvision(name)
    published = source.published()
    crop = source.size(published)
    model = source.build()
    state = model.state_dict()
    classes = 21 if getattr(source, "is_segmentation", False) else 1000
    other = shapes_of(source, classes + 3)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    drop_values(model)
    file = name.replace(":", ".")
    fixed = export(model, crop, name.startswith(FIXED), out / f"{file}.pt2")
    size = [crop, crop] if fixed else None
    facts = {
        "name": name,
        "family": source.family,
        "parameters": parameters,
        "classes": classes,
        "size": size,
        # A fixed size takes no weights of another.
        "weights": [each for each in published if not fixed or each["preprocess"].get("crop") == size],
        "byClass": [key for key, value in state.items() if value.shape != other[key]],
        "state": list(state),
        "shared": shared_names(model),
        "unused": source.unused,
    }
    (out / f"{file}.json").write_text(json.dumps(facts))
    print(f"{name}: {'fixed size' if fixed else 'any size'}, {len(facts['weights'])} published", file=sys.stderr, flush=True)


if __name__ == "__main__":
    out = Path(sys.argv[1])
    (out / "imagenet-labels.json").write_text(json.dumps(_IMAGENET_CATEGORIES, ensure_ascii=False))
    skip_values()
    for name in sys.argv[2:]:
        try:
            write(out, name)
            print(f"done {name}", flush=True)
        except Exception as error:
            print(f"failed {name}: {str(error).strip().splitlines()[0][:300]}", flush=True)
        if not sys.stdin.readline():
            break
