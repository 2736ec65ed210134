"""Every method that this package and Captum both have, through its own classes, by this package's names."""

import math

import peers
import torch
from torch import Tensor, nn

from captum_peer import grad_cam
from reference_document import to_heatmap

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


def over_cells(kind, **given):
    """Of the same cells; the samples are Captum's own, so that the time alone can be compared."""

    def make(model: nn.Module, _layer: str, target: int):
        method = kind(model)

        def explain(x: Tensor):
            rows, columns = (torch.arange(size) // math.ceil(size / 8) for size in x.shape[2:])
            cells = (rows[:, None] * (columns.max() + 1) + columns).expand(x.shape).contiguous()
            return method.attribute(x, feature_mask=cells, target=target, perturbations_per_eval=AT_ONCE, **given), None

        return explain

    return make


def guided_grad_cam(model: nn.Module, layer: str, target: int):
    method = attr.GuidedGradCam(model, model.get_submodule(layer))
    return lambda x: (method.attribute(x.detach().clone().requires_grad_(), target=target).detach(), None)


def smoothgrad(model: nn.Module, _layer: str, target: int):
    method = attr.NoiseTunnel(attr.Saliency(model))
    return lambda x: (
        method.attribute(x.detach().clone(), nt_samples=5, nt_samples_batch_size=5, stdevs=0.0, target=target).detach(),
        None,
    )


LAYERS = {
    "layer-activation": attr.LayerActivation,
    "internal-influence": attr.InternalInfluence,
    "layer-conductance": attr.LayerConductance,
    "layer-deeplift": attr.LayerDeepLift,
    "layer-gradient-x-activation": attr.LayerGradientXActivation,
    "layer-integrated-gradients": attr.LayerIntegratedGradients,
}


def of_layer(name: str):
    """Summed over channels and cut at zero, as maps are."""

    def make(model: nn.Module, layer: str, target: int):
        method = LAYERS[name](model, model.get_submodule(layer))
        asked = {} if name == "layer-activation" else {"target": target}
        if name not in ("layer-activation", "layer-deeplift", "layer-gradient-x-activation"):
            asked["internal_batch_size"] = AT_ONCE
        return lambda x: (to_heatmap(method.attribute(x, **asked).detach().sum(1, True).relu(), x.shape[2:]), None)

    return make


def deeplift_shap(model: nn.Module, _layer: str, target: int):
    """From one baseline of zeros, twice, for Captum asks for several."""
    method = attr.DeepLiftShap(model)
    return lambda x: (method.attribute(x.detach().clone(), x.new_zeros(2, *x.shape[1:]), target=target).detach(), None)


def gradient_shap(model: nn.Module, _layer: str, target: int):
    """From a baseline of zeros, without noise, at points that Captum draws."""
    method = attr.GradientShap(model)
    return lambda x: (
        method.attribute(x.detach().clone(), x.new_zeros(1, *x.shape[1:]), n_samples=5, target=target).detach(),
        None,
    )


OTHERS = {
    **{name: of_layer(name) for name in LAYERS},
    "deeplift-shap": deeplift_shap,
    "gradient-shap": gradient_shap,
    "gradcam": grad_cam,
    "feature-ablation": feature_ablation,
    "guided-gradcam": guided_grad_cam,
    "lime": over_cells(attr.Lime, n_samples=100),
    "kernel-shap": over_cells(attr.KernelShap, n_samples=100),
    "shapley-sampling": over_cells(attr.ShapleyValueSampling, n_samples=2),
}


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
