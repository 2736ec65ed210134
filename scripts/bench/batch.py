"""The job of scripts/bench/batch.mjs in Python: DataLoader, pytorch-grad-cam, Pillow.

    python3 scripts/bench/batch.py MODEL.pt LAYER IN OUT BATCH

pytorch-grad-cam hooks nn.Modules, so the TorchScript model's weights are put into a DenseNet of the same shape where it is
densenet121's; any other file is refused. Prints one JSON object. Needs torch, grad-cam, Pillow and matplotlib.
"""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "models"))

import matplotlib
import numpy as np
import torch
from densenet import densenet121
from PIL import Image
from pytorch_grad_cam import GradCAM
from torch.utils.data import DataLoader, Dataset

MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
JET = (matplotlib.colormaps["jet"](np.arange(256))[:, :3] * 255).astype(np.float32)


class Images(Dataset):
    """Shorter side 256, centre 224, as torchvision's transforms do on Pillow's images."""

    def __init__(self, folder):
        self.paths = sorted(Path(folder).glob("*.jpg"), key=lambda path: int(path.stem))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        image = Image.open(self.paths[index]).convert("RGB")
        width, height = image.size
        short = min(width, height)
        small = image.resize((int(256 * width / short), int(256 * height / short)), Image.Resampling.BILINEAR)
        left, top = round((small.width - 224) / 2), round((small.height - 224) / 2)
        pixels = np.asarray(small.crop((left, top, left + 224, top + 224)), dtype=np.float32) / 255
        return torch.from_numpy(((pixels - MEAN) / STD).transpose(2, 0, 1).copy()), np.asarray(image), index


def collate(items):
    inputs, images, indices = zip(*items)
    return torch.stack(inputs), images, indices


def save(image, cam, path):
    """The map over the part that the model saw, in the image's own size."""
    height, width = image.shape[:2]
    scale = min(width, height) / 256
    side = round(224 * scale)
    left, top = (width - side) // 2, (height - side) // 2
    level = np.asarray(Image.fromarray(cam).resize((side, side), Image.Resampling.BILINEAR))
    painted = JET[np.clip(level * 256, 0, 255).astype(np.uint8)]
    result = image.copy()
    seen = result[top : top + side, left : left + side]
    result[top : top + side, left : left + side] = (0.5 * seen + 0.5 * painted[: seen.shape[0], : seen.shape[1]]).astype(np.uint8)
    Image.fromarray(result).save(path, quality=90)


def main(model_file, layer, source, out, batch):
    model = densenet121()
    model.load_state_dict(torch.jit.load(model_file).state_dict())
    model.eval()
    cam = GradCAM(model=model, target_layers=[model.get_submodule(layer)])
    loader = DataLoader(Images(source), batch_size=int(batch), num_workers=2, collate_fn=collate)
    done, began = 0, time.perf_counter()
    for inputs, images, indices in loader:
        for image, grey, index in zip(images, cam(inputs, None), indices):
            save(image, grey, os.path.join(out, f"python-{index}.jpg"))
            done += 1
    seconds = time.perf_counter() - began
    print(json.dumps({"perSecond": done / seconds, "threads": torch.get_num_threads(), "torch": torch.__version__}))


if __name__ == "__main__":
    main(*sys.argv[1:])
