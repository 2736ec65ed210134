"""Records what PyTorch's own module hooks are called with, and in which order."""

from contextlib import contextmanager

import torch


def copies(values):
    """Copies of the tensors among a hook's arguments, in order, also those inside lists; null for the rest."""
    if isinstance(values, (list, tuple)):
        return [copy for value in values for copy in copies(value)]
    return [values.detach().clone() if isinstance(values, torch.Tensor) else None]


@contextmanager
def record_hooks(model, layers=None):
    """Gives a list that grows by one {"hook", "path", ...} per call while the block runs.

    `layers` are module paths, '' for the model itself; without it every module is hooked. Hooks of all three kinds are
    set: `pre` and `forward` (with "inputs" and "outputs"), `backward` (with "grad_inputs" and "grad_outputs").
    """
    events = []
    handles = []

    def hook_all(path, module):
        def pre(_module, inputs):
            events.append({"hook": "pre", "path": path, "inputs": copies(inputs)})

        def forward(_module, inputs, output):
            events.append({"hook": "forward", "path": path, "inputs": copies(inputs), "outputs": copies(output)})

        def backward(_module, grad_in, grad_out):
            given = {"grad_inputs": copies(grad_in), "grad_outputs": copies(grad_out)}
            events.append({"hook": "backward", "path": path, **given})

        handles.append(module.register_forward_pre_hook(pre))
        handles.append(module.register_forward_hook(forward))
        handles.append(module.register_full_backward_hook(backward))

    for path, module in model.named_modules():
        if layers is None or path in layers:
            hook_all(path, module)
    try:
        yield events
    finally:
        for handle in handles:
            handle.remove()
