"""Every method that this package and Captum both have, through its own classes, by this package's names."""

import math

import peers
import torch
from torch import Tensor, nn

from captum_peer import grad_cam

attr = peers.captum_attr()

ATTRIBUTIONS = {
    "saliency": attr.Saliency,
    "input-x-gradient": attr.InputXGradient,
    "guided-backprop": attr.GuidedBackprop,
    "deconvnet": attr.Deconvolution,
    "integrated-gradients": attr.IntegratedGradients,
    "deeplift": attr.DeepLift,
}

# As many at a time as this package takes.
AT_ONCE = 16


def occlusion(model: nn.Module, _layer: str, target: int):
    """With our windows, an eighth of the image moved by half of that, and as many at a time as we take."""
    method = attr.Occlusion(model)

    def explain(x: Tensor):
        height, width = x.shape[2] // 8, x.shape[3] // 8
        return (
            method.attribute(
                x,
                sliding_window_shapes=(x.shape[1], height, width),
                strides=(x.shape[1], height // 2, width // 2),
                target=target,
                perturbations_per_eval=AT_ONCE,
            ),
            None,
        )

    return explain


def feature_ablation(model: nn.Module, _layer: str, target: int):
    """Of our features: the cells of a grid of eight by eight."""
    method = attr.FeatureAblation(model)

    def explain(x: Tensor):
        rows, columns = (torch.arange(size) // math.ceil(size / 8) for size in x.shape[2:])
        cells = rows[:, None] * (columns.max() + 1) + columns
        return method.attribute(x, feature_mask=cells[None, None], target=target, perturbations_per_eval=AT_ONCE), None

    return explain


def guided_grad_cam(model: nn.Module, layer: str, target: int):
    method = attr.GuidedGradCam(model, model.get_submodule(layer))
    return lambda x: (method.attribute(x.detach().clone().requires_grad_(), target=target).detach(), None)


def smoothgrad(model: nn.Module, _layer: str, target: int):
    method = attr.NoiseTunnel(attr.Saliency(model))
    return lambda x: (
        method.attribute(x.detach().clone(), nt_samples=5, nt_samples_batch_size=5, stdevs=0.0, target=target).detach(),
        None,
    )


OTHERS = {"gradcam": grad_cam, "feature-ablation": feature_ablation, "guided-gradcam": guided_grad_cam}


def __getattr__(name: str):
    if name in OTHERS:
        return OTHERS[name]
    if name not in ATTRIBUTIONS:
        raise AttributeError(f"Captum has no {name}")

    def make(model: nn.Module, _layer: str, target: int):
        method = ATTRIBUTIONS[name](model)

        def explain(x: Tensor):
            return method.attribute(x.detach().clone().requires_grad_(), target=target).detach(), None

        return explain

    return make
