"""What zennit and Captum make of a net.

    python3 test/python/peer_relevance.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes": [...], "size": [...], "captum": bool, "merges": bool, "zennit": NAME of a net with the
same parameters that is made of modules alone}}}. Without "merges" no batch norm is merged. zennit sees modules alone, so that a net of functions is compared with its twin. An addition is a
module of its own there, as zennit asks for. Relevance begins as the logit.
"""

import warnings

import torch
from torch import nn

import models  # which finds the two that follow
import densenet
import resnet
import peers
import relevance_nets
from job import answer
from relevance_bounds import HIGH, LOW

zennit = peers.zennit()
warnings.filterwarnings("ignore")


def bounds(x):
    def as_input(bound):
        return torch.tensor(bound, dtype=x.dtype).view(1, 3, 1, 1).expand(x.shape)

    return as_input(LOW), as_input(HIGH)


def composites(x):
    from zennit import composites, rules, types

    low, high = bounds(x)

    def every(rule):
        return composites.LayerMapComposite(composites.layer_map_base() + [(types.Linear, rule)])

    def first(rule, others):
        return composites.SpecialFirstLayerMapComposite(
            composites.layer_map_base() + [(types.Linear, others)], [(types.Linear, rule)]
        )

    return {
        "epsilon": every(rules.Epsilon()),
        "epsilon-plus": composites.EpsilonPlus(),
        "epsilon-plus-flat": composites.EpsilonPlusFlat(),
        "epsilon-alpha2-beta1": composites.EpsilonAlpha2Beta1(),
        "epsilon-alpha2-beta1-flat": composites.EpsilonAlpha2Beta1Flat(),
        "epsilon-gamma-box": composites.EpsilonGammaBox(low=low, high=high),
        # Each rule where the usual composites do not have it. The paper's w-square rule has no bias.
        "gamma everywhere": every(rules.Gamma(gamma=0.5)),
        "alpha-beta everywhere": every(rules.AlphaBeta(alpha=1.5, beta=0.5)),
        "w-square first": first(rules.WSquare(zero_params="bias"), rules.Epsilon(epsilon=1e-3)),
        "z-plus everywhere": every(rules.ZPlus()),
    }


class AddingBlock(resnet.BasicBlock):
    """Its addition is a module."""

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(self.add(y, x if self.downsample is None else self.downsample(x)))


class PoolingDenseNet(densenet.DenseNet):
    """Its last pooling is a module."""

    def forward(self, x):
        return self.classifier(torch.flatten(self.pool(self.active(self.features(x))), 1))


def as_zennit_asks(model):
    """Additions as zennit's module of them, and modules for what are functions."""
    from zennit.layer import Sum

    class ByZennit(nn.Module):
        def __init__(self):
            super().__init__()
            self.sum = Sum()

        def forward(self, x, y):
            return self.sum(torch.stack([x, y], -1))

    for module in model.modules():
        if isinstance(module, resnet.BasicBlock):
            module.__class__ = AddingBlock
        if isinstance(module, (relevance_nets.Block, resnet.BasicBlock)):
            module.add = ByZennit()
    if isinstance(model, densenet.DenseNet):
        model.__class__ = PoolingDenseNet
        model.active, model.pool = nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1))
    return model


def canonizers(model, merges):
    from zennit.canonizers import NamedMergeBatchNorm, SequentialMergeBatchNorm

    if not isinstance(model, densenet.DenseNet):
        # By the order in which modules are registered, whatever the pass does.
        return [SequentialMergeBatchNorm()] if merges else []
    # In that order a layer's last convolution comes before the next layer's first norm, which sees all layers before.
    names = [name for name, module in model.named_modules() if isinstance(module, densenet.DenseLayer)]
    pairs = [("features.conv0", "features.norm0")] + [(f"{name}.conv1", f"{name}.norm2") for name in names]
    return [NamedMergeBatchNorm([([convolution], norm) for convolution, norm in pairs])]


def relevance_by_zennit(model, composite, x, classes, merges):
    from zennit.attribution import Gradient

    composite.canonizers = canonizers(model, merges)
    target = torch.eye(len(model(x)[0]), dtype=x.dtype)[classes]
    with Gradient(model=model, composite=composite) as attributor:
        _, relevance = attributor(x.clone(), lambda output: output.detach() * target)
    return relevance.detach()


def relevance_by_captum(model, x, classes):
    # Captum's LRP changes weights in place. Its epsilon is 1e-9.
    method = peers.captum_attr().LRP(model)
    return method.attribute(x.clone(), target=torch.tensor(classes)).detach()


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job.get("size"))
    files = {"files": models.write_torchscript(name, model, x, folder), "input": store(x)}
    cases = {"scores": store(model(x)[range(len(x)), job["classes"]])}
    for what in composites(x):
        if "only" in job and what not in job["only"]:
            continue
        twin = models.build(job.get("zennit", name), 0)
        twin.load_state_dict(model.state_dict())
        relevance = relevance_by_zennit(as_zennit_asks(twin), composites(x)[what], x, job["classes"], job.get("merges", True))
        cases[what] = store(relevance)
    if job.get("captum"):
        cases["captum"] = store(relevance_by_captum(models.build(name, 0), x, job["classes"]))
    return {**files, "cases": {"peers": cases}}


if __name__ == "__main__":
    answer(run_model)
