"""What pytorch-grad-cam and Captum themselves make of a model: the maps that the tests hold this package to.

    python3 test/python/peer_maps.py JOB.json OUT

JOB.json: {"models": {NAME: {"seed", "input_seed", "size", "classes", "layer_sets", "reshape", "methods"}}}. "methods" gives
pytorch-grad-cam's class of each method. For each model, each number of images (the whole batch, and its first alone) and each
set of layers OUT/index.json has the peers' maps by case, and what pytorch-grad-cam captured. The peers are called as their
users call them; only a principal component's sign, which LAPACK picks, is set by the rule that this package documents (see
`signed`).
"""

import copy
import warnings

import numpy as np
import torch

import models
import peers
from gates import moved_sums
from job import answer
from reference import stored

pgc = peers.pytorch_grad_cam()
attr = peers.captum_attr()
from pytorch_grad_cam.utils.model_targets import (  # noqa: E402
    ClassifierOutputSoftmaxTarget,
    ClassifierOutputTarget,
    FinerWeightedTarget,
)

warnings.filterwarnings("ignore")

def signed(cam_class, guide):
    """The peer's class, with each principal component turned to the side of guide(activations, gradients)."""

    class Signed(cam_class):
        def get_cam_image(self, input_tensor, target_layer, targets, activations, grads, eigen_smooth=False):
            cam = super().get_cam_image(input_tensor, target_layer, targets, activations, grads, eigen_smooth)
            agreement = (cam * guide(activations, grads)).sum(axis=(1, 2), keepdims=True)
            return np.where(agreement < 0, -cam, cam)

    Signed.__name__ = cam_class.__name__
    return Signed


def strength(activations, _grads):
    return np.abs(activations).sum(axis=1)


def evidence(activations, grads):
    return (activations * grads).sum(axis=1)


def grad_cam_sum(activations, grads):
    return (activations * grads.mean(axis=(2, 3), keepdims=True)).sum(axis=1)


class PreciseKpca(pgc.KPCA_CAM):
    """In float32 the kernel that the peer builds is off by more than the tolerance where tanh is saturated."""

    def get_cam_image(self, input_tensor, target_layer, targets, activations, grads, eigen_smooth=False):
        return super().get_cam_image(input_tensor, target_layer, targets, np.float64(activations), grads, eigen_smooth)


class MovedXGrad(pgc.XGradCAM):
    """Divides by the sum over each channel, which may come next to zero where activations have both signs."""

    def get_cam_weights(self, input_tensor, target_layer, target_category, activations, grads):
        moved = activations + moved_sums(activations) / activations[0, 0].size
        return super().get_cam_weights(input_tensor, target_layer, target_category, moved, grads)


ADAPTED = {
    "xgradcam": MovedXGrad,
    "kpcacam": PreciseKpca,
    "eigencam": signed(pgc.EigenCAM, strength),
    "eigengradcam": signed(pgc.EigenGradCAM, evidence),
}


def reshape_of(kind):
    if kind == "vit":
        return lambda t: t[:, 1:].reshape(t.shape[0], 4, 6, t.shape[2]).permute(0, 3, 1, 2)
    if kind == "swin":
        return lambda t: t.permute(0, 3, 1, 2)
    return None


def run(cam_class, model, layers, x, targets, reshape, **options):
    # Every run gets a model of its own: the peer's hooks stay behind when it fails.
    model = copy.deepcopy(model)
    cam = cam_class(model, [model.get_submodule(layer) for layer in layers], reshape_transform=reshape)
    maps = cam(x.clone(), targets, **options)
    return torch.from_numpy(np.ascontiguousarray(maps)).unsqueeze(1), cam


def pgc_cases(model, layers, x, classes, reshape, methods):
    targets = [ClassifierOutputTarget(c) for c in classes]
    cases = {}
    for name, class_name in methods.items():
        cam_class = ADAPTED.get(name) or getattr(pgc, class_name)
        if name == "shapleycam" and (len(layers) > 1 or reshape):
            continue  # the peer frees the graph at the first layer and fails at the second; it forgets to reshape
        cases[name], cam = run(cam_class, model, layers, x, targets, reshape)
        if name == "gradcam":
            captured = cam.activations_and_grads
            for i, layer in enumerate(layers):
                cases[f"activation:{layer}"] = captured.activations[i]
                cases[f"gradient:{layer}"] = captured.gradients[i]
    if len(layers) > 1:
        cases["refine:gradcam++"], _ = run(pgc.RefineCAM, model, layers, x, targets, reshape)
    smoothed = signed(pgc.GradCAM, grad_cam_sum)
    cases["smooth:gradcam"], _ = run(smoothed, model, layers, x, targets, reshape, eigen_smooth=True)
    cases["argmax:gradcam"], _ = run(pgc.GradCAM, model, layers, x, None, reshape)
    cases["augmented:gradcam"], _ = run(pgc.GradCAM, model, layers, x, targets, reshape, aug_smooth=True)
    probabilities = [ClassifierOutputSoftmaxTarget(c) for c in classes]
    cases["probability:gradcam"], _ = run(pgc.GradCAM, model, layers, x, probabilities, reshape)
    cases["finer:gradcam"], _ = run(pgc.FinerCAM, model, layers, x, None, reshape)
    against = [FinerWeightedTarget(c, [1, 3], 0.7) for c in classes]
    cases["against:gradcam"], _ = run(pgc.GradCAM, model, layers, x, against, reshape)
    return cases


def captum_cases(model, layers, x, classes):
    cases = {}
    for layer in layers:
        own = copy.deepcopy(model)
        cam = attr.LayerGradCam(own, own.get_submodule(layer))
        cases[f"captum:{layer}"] = cam.attribute(x.clone(), target=torch.tensor(classes))
    return cases


def run_model(name, job, folder, store):
    model = models.build(name, job["seed"])
    x = models.example(name, job["input_seed"], job.get("size"))
    reshape = reshape_of(job.get("reshape"))
    results = {}
    for images in (1, len(x)):
        for layers in job["layer_sets"]:
            given, classes = x[:images].clone(), job["classes"][:images]
            cases = pgc_cases(model, layers, given, classes, reshape, job["methods"])
            if reshape is None and layers == job["layer_sets"][0]:
                targets = [ClassifierOutputTarget(c) for c in classes]
                cases["fullgrad"], _ = run(pgc.FullGrad, model, [], given, targets, None)
            if reshape is None:  # Captum takes dimension 1 for the channels, whatever it is
                cases.update(captum_cases(model, layers, given, classes))
            results[f"{images} {' '.join(layers)}"] = stored(cases, store)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": results}


if __name__ == "__main__":
    answer(run_model)
