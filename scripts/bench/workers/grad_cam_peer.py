"""pytorch-grad-cam, through its own classes."""

import numpy as np
import peers
from torch import Tensor, nn

grad_cam_package = peers.pytorch_grad_cam()


def grad_cam(model: nn.Module, layer: str, target: int):
    cam = grad_cam_package.GradCAM(model, [model.get_submodule(layer)])
    of_class = grad_cam_package.utils.model_targets.ClassifierOutputTarget(target)

    def explain(x: Tensor):
        # It upsamples and stretches the maps itself.
        maps = cam(x, [of_class] * len(x))
        return maps[:, None], cam.outputs[:, target]

    return explain


def guided_backprop(model: nn.Module, _layer: None, target: int):
    guided = grad_cam_package.GuidedBackpropReLUModel(model)

    def explain(x: Tensor):
        # It explains one image: a batch is one call for each. It gives [H, W, 3].
        gradients = [guided(image[None].detach().clone(), target) for image in x]
        return np.stack(gradients).transpose(0, 3, 1, 2), None

    return explain
