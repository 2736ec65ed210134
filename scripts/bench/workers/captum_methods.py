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
