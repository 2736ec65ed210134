"""Captum, through its own classes."""

import peers
from torch import Tensor, nn

from reference_document import to_heatmap

attr = peers.captum_attr()


def grad_cam(model: nn.Module, layer: str, target: int):
    cam = attr.LayerGradCam(model, model.get_submodule(layer))

    def explain(x: Tensor):
        maps = cam.attribute(x, target=target, relu_attributions=True)
        return to_heatmap(maps.detach(), x.shape[2:]), None

    return explain


def guided_backprop(model: nn.Module, _layer: None, target: int):
    guided = attr.GuidedBackprop(model)

    def explain(x: Tensor):
        return guided.attribute(x.detach().clone().requires_grad_(), target=target), None

    return explain
