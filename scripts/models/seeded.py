"""Random weights that are the same for the same seed, and healthy enough to test explanations on."""

from typing import Callable, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def seeded(make: Callable[[], Model], seed: int) -> Model:
    """Makes a model from `seed`, in eval mode, leaving the caller's random state alone.

    A new BatchNorm is the identity in eval mode, so a mistake in handling it would go unseen: here each gets scales,
    shifts and running statistics of its own, near enough to those that activations neither vanish nor explode.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = make()
        with torch.no_grad():
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.uniform_(module.weight, 0.7, 1.3)
                    nn.init.normal_(module.bias, 0.0, 0.2)
                    nn.init.normal_(module.running_mean, 0.0, 0.2)
                    nn.init.uniform_(module.running_var, 0.6, 1.4)
        return model.eval()
