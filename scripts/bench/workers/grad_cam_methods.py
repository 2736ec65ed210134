"""Every method that this package and pytorch-grad-cam both have, through its own classes, by this package's names."""

import peers
from torch import Tensor, nn

package = peers.pytorch_grad_cam()

def finer_cam(model: nn.Module, layer: str, target: int):
    cam = package.FinerCAM(model, [model.get_submodule(layer)])
    return lambda x: (cam(x, target_idx=target)[:, None], None)


def maker(job: dict):
    """By the name of the class that the table of methods has for pytorch-grad-cam."""
    if job["method"] == "finer-cam":
        return finer_cam
    cam_class = getattr(package, job["class"])

    def make(model: nn.Module, layer: str, target: int):
        cam = cam_class(model, [] if job["method"] == "fullgrad" else [model.get_submodule(layer)])
        of_class = package.utils.model_targets.ClassifierOutputTarget(target)

        def explain(x: Tensor):
            return cam(x, [of_class] * len(x))[:, None], None

        return explain

    return make
