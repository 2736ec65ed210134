"""Every method that this package and Captum both have, through its own classes, by this package's names."""

import peers
from torch import Tensor, nn

from captum_peer import grad_cam

attr = peers.captum_attr()

ATTRIBUTIONS = {
    "saliency": attr.Saliency,
    "input-x-gradient": attr.InputXGradient,
    "guided-backprop": attr.GuidedBackprop,
    "deconvnet": attr.Deconvolution,
    "integrated-gradients": attr.IntegratedGradients,
}



def occlusion(model: nn.Module, _layer: str, target: int):
    """With our windows, an eighth of the picture moved by half of that, and as many at a time as we take."""
    method = attr.Occlusion(model)

    def explain(x: Tensor):
        height, width = x.shape[2] // 8, x.shape[3] // 8
        return (
            method.attribute(
                x,
                sliding_window_shapes=(x.shape[1], height, width),
                strides=(x.shape[1], height // 2, width // 2),
                target=target,
                perturbations_per_eval=16,
            ),
            None,
        )

    return explain


def __getattr__(name: str):
    if name == "gradcam":
        return grad_cam
    if name not in ATTRIBUTIONS:
        raise AttributeError(f"Captum has no {name}")

    def make(model: nn.Module, _layer: str, target: int):
        method = ATTRIBUTIONS[name](model)

        def explain(x: Tensor):
            return method.attribute(x.detach().clone().requires_grad_(), target=target).detach(), None

        return explain

    return make
