"""torch-cam's CAM of models with two linear heads, told which.

    python3 test/python/peer_heads.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": {HEAD: class}}}}, NAME being a key of NETS. The map of each head, not cut at zero.
"""

import copy

import torch
from torch import Tensor, nn

import peers
from job import answer
from reference import stored
from tensors import seeded

torch_cam = peers.torch_cam_methods()


class Dictionary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 8, 3, padding=1), nn.ReLU())
        self.kind, self.colour = nn.Linear(8, 5), nn.Linear(8, 3)

    def forward(self, x: Tensor):
        pooled = self.features(x).mean([2, 3])
        return {"kind": self.kind(pooled), "colour": self.colour(pooled)}


class Pair(Dictionary):
    def forward(self, x: Tensor):
        pooled = self.features(x).mean([2, 3])
        return self.kind(pooled), self.colour(pooled)


NETS = {"dictionary": Dictionary, "pair": Pair}


def cam_of_head(model, x, head, chosen):
    own = copy.deepcopy(model)
    extractor = torch_cam.CAM(own, "features", head, input_shape=tuple(x.shape[1:]))
    own(x)
    (cam,) = extractor(chosen, normalized=False)
    extractor.remove_hooks()
    return cam.unsqueeze(1)


def run_model(name, job, folder, store):
    torch.manual_seed(0)
    model = NETS[name]().double().eval()
    x = seeded((3, 3, 16, 20), 1, torch.float64)
    cases = {head: cam_of_head(model, x, head, chosen) for head, chosen in job["classes"].items()}
    torch.jit.script(model).save(str(folder / f"{name}.pt"))
    return {"files": {"scripted": f"{name}.pt"}, "input": store(x), "cases": {"torch-cam": stored(cases, store)}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
