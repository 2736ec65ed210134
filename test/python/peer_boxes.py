"""What pytorch-grad-cam makes of an object detector with its FasterRCNNBoxScoreTarget.

    python3 test/python/peer_boxes.py JOB.json OUT

JOB.json: {"models": {NAME: {"peer": bool}}}. All detectors have the same weights, so that what the peer says of the one that
it can read, a list of dicts, holds for the others. The boxes are near detections, not equal to them.
"""

import warnings
from types import SimpleNamespace

import torch

import models
import peers
from job import answer
from tensors import seeded

pgc = peers.pytorch_grad_cam()
from pytorch_grad_cam.utils import model_targets  # noqa: E402

warnings.filterwarnings("ignore")


def box_iou(boxes, others):
    """torchvision.ops.box_iou, which is not here where torchvision is not."""
    rows = []
    for a in boxes:
        row = []
        for b in others:
            width = torch.minimum(a[2], b[2]) - torch.maximum(a[0], b[0])
            height = torch.minimum(a[3], b[3]) - torch.maximum(a[1], b[1])
            shared = torch.relu(width) * torch.relu(height)
            row.append(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))
        rows.append(torch.stack(row))
    return torch.stack(rows)


model_targets.torchvision = SimpleNamespace(ops=SimpleNamespace(box_iou=box_iou))


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1)
    answer = {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": {}}
    if not job.get("peer"):
        return answer
    with torch.no_grad():
        found = model(x)
    # The two highest of each image, moved a little.
    top = [detections["scores"].topk(2).indices for detections in found]
    boxes = torch.stack([d["boxes"][i] for d, i in zip(found, top)]) + seeded((len(x), 2, 4), 5) / 4
    labels = torch.stack([d["labels"][i] for d, i in zip(found, top)])
    cases = {"boxes": store(boxes), "labels": store(labels)}
    for count in (1, 2):
        targets = [
            model_targets.FasterRCNNBoxScoreTarget(of.tolist(), some.numpy()) for of, some in zip(labels[:, :count], boxes[:, :count])
        ]
        cases[f"scores {count}"] = store(torch.stack([t(d) for t, d in zip(targets, found)]).flatten())
        for method, cam_class in {"gradcam": pgc.GradCAM, "layercam": pgc.LayerCAM}.items():
            with cam_class(model=model, target_layers=[model.features]) as cam:
                # One image at a time: detections of several images are no batch to it.
                maps = [cam(input_tensor=x[i : i + 1].clone(), targets=[targets[i]]) for i in range(len(x))]
            cases[f"{method} {count}"] = store(torch.stack([torch.from_numpy(m) for m in maps]))
    answer["cases"]["peer"] = cases
    return answer


if __name__ == "__main__":
    answer(run_model)
