"""What Captum and torch-cam make of layers by passes of their own: at other inputs, and under masks with noise.

    python3 test/python/peer_layers.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes", "layer", "size", "deeplift": bool, "torch_cam": bool}}}. Captum's attributions are given as they are,
and summed over channels. Its DeepLIFT knows modules alone: see peer_rescale.py. torch-cam's noise
is drawn from the seeds that this package draws from, and its masks are upsampled as Score-CAM's authors do it; apart from
that both are called as their users call them.
"""

import copy
import warnings

import torch
import torch.nn.functional as F

import models
import peers
from job import answer
from reference import stored
from tensors import seeded

attr = peers.captum_attr()
torch_cam = peers.torch_cam_methods()
warnings.filterwarnings("ignore")

SAMPLES, SIGMA, SEED, STEPS = 3, 0.7, 5, 9


class Drawn:
    """In place of a normal distribution: a seed for each draw."""

    def __init__(self, draw):
        self.next, self.draw = SEED, draw

    def sample(self, shape):
        self.next += 1
        return self.draw(shape, self.next - 1) * SIGMA


class Enlarged:
    """Masks with corners on corners, and min-max normalised after that."""

    def _upsample(self, activation):
        large = F.interpolate(activation, self._input.shape[2:], mode="bilinear", align_corners=True)
        return super()._normalize(large, 2)

    @staticmethod
    def _normalize(cams, _dims=None, _eps=0):
        return cams


class SmoothedScore(Enlarged, torch_cam.SSCAM):
    pass


class IntegratedScore(Enlarged, torch_cam.ISCAM):
    pass


class MeanGradient(torch_cam.SmoothGradCAMpp):
    """The peer multiplies by gradient and activation of the last noisy copy; the paper has the mean of the gradient over all of
    them, and the activation of the image as it is."""

    def _compute_smoothgrad_weights(self, class_idx, eps, **kwargs):
        seen, still = [], [a.clone() for a in self.hook_a]
        backprop = self._backprop

        def watched(*args, **more):
            backprop(*args, **more)
            seen.append([g.clone() for g in self.hook_g])

        self._backprop = watched
        weights = super()._compute_smoothgrad_weights(class_idx, eps, **kwargs)
        # The weights are linear in the last gradient, position by position: made again with the mean in its place.
        second = [sum(g**2 for g in of) / len(of) for of in zip(*seen)]
        third = [sum(g**3 for g in of) / len(of) for of in zip(*seen)]
        mean = [sum(of) / len(of) for of in zip(*seen)]
        again = []
        for own, square, cube, g, activation in zip(weights, second, third, mean, still):
            sums = (cube * activation).flatten(2).sum(-1)[..., None, None]
            alpha = square / (2 * square + sums + eps)
            last = (alpha * torch.relu(seen[-1][0])).flatten(2).sum(-1)
            torch.testing.assert_close(last, own)  # the peer's own, but for that gradient
            again.append((alpha * torch.relu(g)).flatten(2).sum(-1))
        self.hook_a = still
        return again


def torch_cam_map(kind, model, layer, x, classes, draw=None, **options):
    own = copy.deepcopy(model)
    extractor = kind(own, layer, input_shape=tuple(x.shape[1:]), **options)
    if draw is not None:
        extractor._distrib = Drawn(draw)
    output = own(x.clone())
    (cam,) = extractor(classes, output, normalized=False)
    extractor.remove_hooks()
    return cam.unsqueeze(1)


def by_torch_cam(model, layer, x, classes):
    # All images share the noise of a copy.
    same = lambda shape, seed: seeded((1, *shape[1:]), seed, x.dtype).expand(shape)
    # All channels of all images share it.
    shared = lambda shape, seed: seeded(shape[2:], seed, torch.float64).to(x.dtype).expand(shape)
    return {
        "smoothgradcam++": torch_cam_map(MeanGradient, model, layer, x, classes, same, num_samples=SAMPLES, std=SIGMA),
        "sscam": torch_cam_map(SmoothedScore, model, layer, x, classes, shared, num_samples=SAMPLES, std=SIGMA),
        "iscam": torch_cam_map(IntegratedScore, model, layer, x, classes, num_samples=SAMPLES),
    }


def by_captum(model, layer, x, classes, deeplift):
    """The attributions of all channels."""
    target = torch.tensor(classes)
    layers = {
        "layer-activation": lambda net: attr.LayerActivation(net, net.get_submodule(layer)).attribute(x.clone()),
        "internal-influence": lambda net: attr.InternalInfluence(net, net.get_submodule(layer)).attribute(
            x.clone(), 0.25, target=target, n_steps=STEPS
        ),
        "layer-conductance": lambda net: attr.LayerConductance(net, net.get_submodule(layer)).attribute(
            x.clone(), 0.25, target=target, n_steps=STEPS
        ),
        "layer-gradient-x-activation": lambda net: attr.LayerGradientXActivation(net, net.get_submodule(layer)).attribute(
            x.clone(), target=target
        ),
        "layer-integrated-gradients": lambda net: attr.LayerIntegratedGradients(net, net.get_submodule(layer)).attribute(
            x.clone(), 0.25, target=target, n_steps=STEPS
        ),
    }
    if deeplift:
        layers["layer-deeplift"] = lambda net: attr.LayerDeepLift(net, net.get_submodule(layer)).attribute(
            x.clone(), 0.25, target=target
        )
    return {name: ask(copy.deepcopy(model)).detach() for name, ask in layers.items()}


def by_neurons(model, x, layer, at, guided, deeplift):
    """What speaks for one unit of a layer, at the input."""
    unit = tuple(at)
    neurons = {
        "gradient": lambda of: attr.NeuronGradient(*of).attribute(x.clone(), unit),
        "integrated-gradients": lambda of: attr.NeuronIntegratedGradients(*of).attribute(x.clone(), unit, 0.25, n_steps=STEPS),
    }
    if guided:
        neurons["guided-backprop"] = lambda of: attr.NeuronGuidedBackprop(*of).attribute(x.clone(), unit)
    if deeplift:
        neurons["deeplift"] = lambda of: attr.NeuronDeepLift(*of).attribute(x.clone(), unit, 0.25)

    def of():
        net = copy.deepcopy(model)
        return net, net.get_submodule(layer)

    return {name: ask(of()).detach() for name, ask in neurons.items()}


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job["size"])
    layer, classes, deeplift = job["layer"], job["classes"], job["deeplift"]
    channels = by_captum(model, layer, x, classes, deeplift)
    maps = {name: value.sum(1, keepdim=True) for name, value in channels.items()}
    if job["torch_cam"]:
        maps |= {name: value.detach() for name, value in by_torch_cam(model, layer, x, classes).items()}
    neurons = by_neurons(model, x, **job["unit"])
    cases = {"peers": maps, "channels": channels, "neurons": neurons}
    cases = {kind: stored(values, store) for kind, values in cases.items()}
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": cases}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
