"""Every method that this package and pytorch-grad-cam both have, through its own classes, by this package's names."""

import peers
from torch import Tensor, nn

package = peers.pytorch_grad_cam()

CAMS = {
    "gradcam": package.GradCAM,
    "hirescam": package.HiResCAM,
    "gradcam-elementwise": package.GradCAMElementWise,
    "gradcam++": package.GradCAMPlusPlus,
    "xgradcam": package.XGradCAM,
    "layercam": package.LayerCAM,
    "eigencam": package.EigenCAM,
    "eigengradcam": package.EigenGradCAM,
    "kpcacam": package.KPCA_CAM,
    "fem": package.FEM,
    "shapleycam": package.ShapleyCAM,
    "scorecam": package.ScoreCAM,
    "ablationcam": package.AblationCAM,
    "fullgrad": package.FullGrad,
}


def finer_cam(model: nn.Module, layer: str, target: int):
    cam = package.FinerCAM(model, [model.get_submodule(layer)])
    return lambda x: (cam(x, target_idx=target)[:, None], None)


def __getattr__(name: str):
    if name == "finer-cam":
        return finer_cam
    if name not in CAMS:
        raise AttributeError(f"pytorch-grad-cam has no {name}")

    def make(model: nn.Module, layer: str, target: int):
        cam = CAMS[name](model, [] if name == "fullgrad" else [model.get_submodule(layer)])
        of_class = package.utils.model_targets.ClassifierOutputTarget(target)

        def explain(x: Tensor):
            return cam(x, [of_class] * len(x))[:, None], None

        return explain

    return make
