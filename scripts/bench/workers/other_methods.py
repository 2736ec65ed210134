"""Methods of torch-cam, PAIR's saliency and zennit, through their own classes, by this package's names."""

import numpy as np
import peers
import torch
from torch import Tensor, nn

from captum_methods import AT_ONCE
from reference_document import to_heatmap


def of_torch_cam(name: str, **given):
    """Cut at zero, as maps are."""

    def make(model: nn.Module, layer: str, target: int):
        made = []

        def explain(x: Tensor):
            if not made:
                kind = getattr(peers.torch_cam_methods(), name)
                made.append(kind(model, layer, input_shape=tuple(x.shape[1:]), **given))
            (cam,) = made[0](target, model(x), normalized=False)
            return to_heatmap(cam[:, None].detach().relu(), x.shape[2:]), None

        return explain

    return make


def of_pair(name: str, parameters=None, **given):
    """PAIR's saliency takes one image, channels last."""

    def make(model: nn.Module, _layer: str, target: int):
        saliency = peers.pair_saliency()
        method = getattr(saliency, name)()
        extra = {} if parameters is None else {"extra_parameters": saliency.XRAIParameters(**parameters)}

        def gradients(images, call_model_args=None, expected_keys=None):
            x = torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2).float().requires_grad_()
            gradient = torch.autograd.grad(model(x)[:, target].sum(), x)[0]
            return {saliency.INPUT_OUTPUT_GRADIENTS: gradient.permute(0, 2, 3, 1).numpy()}

        def explain(x: Tensor):
            image = x[0].permute(1, 2, 0).double().numpy()  # the blur's differences are small
            mask = np.asarray(method.GetMask(image, gradients, **extra, **given))
            if mask.ndim == 2:
                mask = np.broadcast_to(mask[..., None], image.shape)
            return torch.from_numpy(np.ascontiguousarray(mask)).permute(2, 0, 1)[None], None

        return explain

    return make


def lrp(model: nn.Module, _layer: str, target: int):
    peers.zennit()
    from zennit.attribution import Gradient
    from zennit.composites import EpsilonPlus

    def explain(x: Tensor):
        def relevance(output):
            return output.detach() * torch.nn.functional.one_hot(torch.tensor([target]), output.shape[1])

        with Gradient(model=model, composite=EpsilonPlus()) as attributor:
            return attributor(x.clone(), relevance)[1].detach(), None

    return explain


# The settings of methods.mjs. PAIR's take as many points of the path at a time as this package does, where they take several.
METHODS = {
    "cam": of_torch_cam("CAM"),
    "smoothgradcam++": of_torch_cam("SmoothGradCAMpp", num_samples=4, std=0.3),
    "sscam": of_torch_cam("SSCAM", num_samples=2, batch_size=AT_ONCE),
    "iscam": of_torch_cam("ISCAM", num_samples=2, batch_size=AT_ONCE),
    "blur-ig": of_pair("BlurIG", steps=50, batch_size=AT_ONCE),
    "guided-ig": of_pair("GuidedIG", x_steps=50),
    "xrai": of_pair("XRAI", {"steps": 50}, batch_size=AT_ONCE),
    "lrp": lrp,
}


def maker(job: dict):
    return METHODS[job["method"]]
