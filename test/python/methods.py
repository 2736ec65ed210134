"""Grad-CAM and guided backpropagation as the project's reference document has them, in eager PyTorch.

Follows grad-cam-using-pytorch.md: a pool filled by the layers' own hooks, and a clamp in the backward hook of every
nn.ReLU module. It differs in one place: the document pools `output.detach().cpu()`, which on the CPU is the layer's own
memory, so that an in-place ReLU after the layer rewrites it; here the value that the layer returned is copied.
"""

import warnings

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

from gates import at_gate

# The document's hooks are PyTorch's older kind, which warns where a module records several autograd nodes. It reads
# the gradient of the module's output from the last of them, which is the one asked for.
warnings.filterwarnings("ignore", message=".*non-full backward hook.*")
warnings.filterwarnings("ignore", message=".*register_full_backward_hook.*")


class Hooked:
    """A model with hooks that end with the `with` block."""

    def __init__(self, model):
        self.model = model
        self.hooks = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()

    def __call__(self, *inputs):
        self.model.zero_grad()
        return self.model(*inputs)


class GradCam(Hooked):
    def __init__(self, model, layers):
        super().__init__(model)
        self.layers = layers
        self.fmap_pool = {}
        self.grad_pool = {}

        def keep_activation(module, _inputs, output):
            self.fmap_pool[module] = output.detach().clone()

        def keep_gradient(module, _grad_in, grad_out):
            self.grad_pool[module] = grad_out[0].detach().clone()

        for layer in layers:
            self.hooks.append(layer.register_forward_hook(keep_activation))
            self.hooks.append(layer.register_backward_hook(keep_gradient))

    def get(self, layer):
        """[N, 1, h, w]"""
        weights = F.adaptive_avg_pool2d(self.grad_pool[layer], (1, 1))
        return F.relu((self.fmap_pool[layer] * weights).sum(dim=1, keepdim=True))


class GuidedBackPropogation(Hooked):
    """The document's reach: modules of class nn.ReLU."""

    def __init__(self, model):
        super().__init__(model)
        self.intercepted = 0

        def clamp(module, grad_in, _grad_out):
            if not isinstance(module, nn.ReLU):
                return None
            self.intercepted += 1
            return tuple(None if grad is None else grad.clamp(min=0.0) for grad in grad_in)

        for module in model.modules():
            self.hooks.append(module.register_backward_hook(clamp))


class GuidedRelu(torch.autograd.Function):
    """ReLU whose backward is g * 1[x > 0] * 1[g > 0]."""

    @staticmethod
    def forward(ctx, x, in_place, owner):
        ctx.owner = owner
        ctx.save_for_backward(x > 0)
        if not in_place:
            return x.clamp(min=0)
        ctx.mark_dirty(x)
        return x.clamp_(min=0)

    @staticmethod
    def backward(ctx, grad):
        (positive,) = ctx.saved_tensors
        ctx.owner.intercepted += 1
        return grad * positive * (grad > 0), None, None


class GuidedRelu6(torch.autograd.Function):
    """ReLU6 whose backward is g * 1[0 < x < 6] * 1[g > 0]."""

    @staticmethod
    def forward(ctx, x, owner):
        ctx.owner = owner
        ctx.save_for_backward((x > 0) & (x < 6))
        return x.clamp(0, 6)

    @staticmethod
    def backward(ctx, grad):
        (inside,) = ctx.saved_tensors
        ctx.owner.intercepted += 1
        return grad * inside * (grad > 0), None


class ReplaceRelu(TorchFunctionMode):
    """Hands every call of a ReLU, by whichever of its names, to GuidedRelu, and of ReLU6 to GuidedRelu6."""

    plain = {torch.relu, torch.Tensor.relu}
    in_place = {torch.relu_, torch.Tensor.relu_}

    def __init__(self, owner):
        super().__init__()
        self.owner = owner

    def __torch_function__(self, func, _types, args=(), kwargs=None):
        args, kwargs = at_gate(func, args, kwargs or {})
        if func is F.relu:  # relu(input, inplace=False)
            in_place = kwargs.get("inplace", args[1] if len(args) > 1 else False)
            return GuidedRelu.apply(args[0] if args else kwargs["input"], in_place, self.owner)
        if func is F.relu6 or func is F.hardtanh:  # which nn.ReLU6 calls; none of the nets has another hardtanh
            return GuidedRelu6.apply(args[0] if args else kwargs["input"], self.owner)
        if func in self.plain or func in self.in_place:
            return GuidedRelu.apply(args[0] if args else kwargs["input"], func in self.in_place, self.owner)
        return func(*args, **kwargs)


class GuidedEveryRelu(Hooked):
    """Every ReLU of the pass, module or function, in place or not."""

    def __init__(self, model):
        super().__init__(model)
        self.intercepted = 0

    def __call__(self, *inputs):
        self.model.zero_grad()
        with ReplaceRelu(self):
            return self.model(*inputs)


def normalize(tensor, eps=1e-8):
    """Min-max of each image of [N, C, H, W], as the document has it."""
    count = tensor.size(0)
    tensor = tensor - tensor.contiguous().view(count, -1).min(dim=1)[0].view(count, 1, 1, 1)
    largest = tensor.contiguous().view(count, -1).max(dim=1)[0]
    return tensor / (largest + eps).view(count, 1, 1, 1)


def enlarge(tensor, size):
    return F.interpolate(tensor, size, mode="bilinear", align_corners=False)


def score_of(output, target):
    """The scalar that is differentiated: one class for all images, one class per image, or 'sum' for regression."""
    if target == "sum":
        return output.sum()
    if isinstance(target, int):
        return output[:, target].sum()
    return sum(output[image, chosen] for image, chosen in enumerate(target))
