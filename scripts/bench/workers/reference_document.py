"""The algorithm of the document that this package began with, on an eager model with hooks, as its reader would run it.

Each function here, and in the other modules beside it, takes the model, the path of the layer (None for guided backprop)
and the class, and gives a function from images [N, 3, H, W] to the result and the scores [N] (None where the peer keeps
them to itself). Grad-CAM's result is a heatmap in [0, 1] of the images' size, guided backprop's the gradient [N, 3, H, W].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def to_heatmap(maps: Tensor, size: torch.Size) -> Tensor:
    """[N, 1, h, w] -> [N, 1, H, W], each image stretched to [0, 1]."""
    large = F.interpolate(maps, size, mode="bilinear", align_corners=False)
    shifted = large - large.amin((1, 2, 3), keepdim=True)
    return shifted / (shifted.amax((1, 2, 3), keepdim=True) + 1e-8)


def grad_cam(model: nn.Module, layer: str, target: int):
    kept = {}

    def keep_activation(_module, _inputs, output):
        kept["activation"] = output.detach().cpu()

    def keep_gradient(_module, _grad_inputs, grad_outputs):
        kept["gradient"] = grad_outputs[0].detach().cpu()

    module = model.get_submodule(layer)
    module.register_forward_hook(keep_activation)
    module.register_backward_hook(keep_gradient)

    def explain(x: Tensor):
        model.zero_grad()
        scores = model(x)[:, target]
        scores.sum().backward()
        weights = F.adaptive_avg_pool2d(kept["gradient"], (1, 1))
        maps = F.relu((kept["activation"] * weights).sum(1, keepdim=True))
        return to_heatmap(maps, x.shape[2:]), scores

    return explain


def guided_backprop(model: nn.Module, _layer: None, target: int):
    def let_positive_through(module, grad_inputs, _grad_outputs):
        if isinstance(module, nn.ReLU):
            return tuple(gradient.clamp(min=0) for gradient in grad_inputs)

    for module in model.modules():
        module.register_backward_hook(let_positive_through)

    def explain(x: Tensor):
        x = x.detach().requires_grad_()
        model.zero_grad()
        scores = model(x)[:, target]
        scores.sum().backward()
        return x.grad.cpu(), scores

    return explain
