"""Where the peers are known to be wrong, what they say; and a segmentation target, where they are right.

    python3 test/python/peer_defects.py JOB.json OUT

The job is an empty object. Output as that of reference.py.
"""

import copy
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch

import models
import peers
from reference import stored
from tensors import Store

pgc = peers.pytorch_grad_cam()
attr = peers.captum_attr()
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, SemanticSegmentationTarget  # noqa: E402

warnings.filterwarnings("ignore")


def maps(model, layer, x, targets):
    own = copy.deepcopy(model)
    return torch.from_numpy(pgc.GradCAM(own, [own.get_submodule(layer)])(x.clone(), targets)).unsqueeze(1)


def in_place_relu_after(model, x):
    """The ReLU after `features` overwrites what the peer kept without a copy."""
    scores = [ClassifierOutputTarget(c) for c in (0, 1)]
    separate = copy.deepcopy(model)
    separate.relu = torch.nn.ReLU()  # the same net, whose ReLU leaves its input alone
    return {
        "peer": maps(model, "features", x, scores),
        "right": maps(separate, "features", x, scores),
        "too_few_targets": maps(model, "features", x, scores[:1]),
    }


def functional_relu_only(model, x):
    """Guided backprop by hooks on modules finds no ReLU, and gives the plain gradient without a word."""
    leaf = x.clone().requires_grad_()
    model(leaf)[:, 1].sum().backward()
    return {
        "plain": leaf.grad,
        "captum": attr.GuidedBackprop(copy.deepcopy(model)).attribute(x.clone().requires_grad_(), target=1),
    }


def segmentation(model, x):
    height, width = model(x.clone()).shape[2:]
    mask = np.zeros((height, width), dtype=np.float32)
    mask[: height // 2, : width // 3] = 1
    return {"mask": torch.from_numpy(mask), "map": maps(model, "features", x, [SemanticSegmentationTarget(1, mask)] * len(x))}


def run_model(name, cases, folder, store):
    model, x = models.build(name, 0), models.example(name, 1)
    results = stored({"cases": cases(model, x)}, store)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": results}


def main(_job_file, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    asked = {"in_place_relu_after": in_place_relu_after, "functional_relu_only": functional_relu_only}
    asked["segmentation"] = segmentation
    index = {"torch": torch.__version__, "models": {n: run_model(n, c, folder, store) for n, c in asked.items()}}
    (folder / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
