"""What PyTorch's own module hooks do to a pass when they replace values, or add and remove hooks while it runs.

    python3 test/python/hook_effects.py OUT

OUT/index.json: {"effects": {NAME: {"net", "output", "gradient"}}, "events": {NAME: [text, ...]}}, where `gradient` is null
when none reached the input, and `files` and `input` of each net as in reference.py. The tests do the same through the
package and expect the same. Models are eager, and the hooks are PyTorch's.
"""

import json
import sys
from pathlib import Path

import torch

import models
from tensors import Store


def double_input(net):
    net.features.register_forward_pre_hook(lambda _module, inputs: inputs[0] * 2)


def double_input_in_tuple(net):
    net.features.register_forward_pre_hook(lambda _module, inputs: (inputs[0] * 2,))


def pre_hooks_chain(net):
    net.features.register_forward_pre_hook(lambda _module, inputs: inputs[0] + 1)
    net.features.register_forward_pre_hook(lambda _module, inputs: inputs[0] * 2)


def change_output(net):
    net.second.register_forward_hook(lambda _module, _inputs, output: output * 0.5 + 1)


def forward_hooks_chain(net):
    net.second.register_forward_hook(lambda _module, _inputs, output: output + 1)
    net.second.register_forward_hook(lambda _module, _inputs, output: output * 2)


def scale_gradient(net):
    net.second.register_full_backward_hook(lambda _module, grad_in, _grad_out: (grad_in[0] * 3,))


def backward_hooks_chain(net):
    net.second.register_full_backward_hook(lambda _module, grad_in, _grad_out: (grad_in[0] + 0.5,))
    net.second.register_full_backward_hook(lambda _module, grad_in, _grad_out: (grad_in[0] * 3,))


def clamp_gradient_at_relus(net):
    """The Python reference's guided backpropagation, by full backward hooks."""
    for module in net.modules():
        if isinstance(module, torch.nn.ReLU):
            module.register_full_backward_hook(lambda _module, grad_in, _grad_out: (grad_in[0].clamp(min=0),))


def drop_gradient(net):
    net.second.register_full_backward_hook(lambda _module, _grad_in, _grad_out: (None,))


def all_three_kinds(net):
    net.second.register_forward_pre_hook(lambda _module, inputs: inputs[0] * 2)
    net.second.register_forward_hook(lambda _module, _inputs, output: output * output)
    net.second.register_full_backward_hook(lambda _module, grad_in, grad_out: (grad_in[0] + grad_out[0],))


def by_call(net):
    calls = []

    def change(_module, _inputs, output):
        calls.append(1)
        return output * 2 if len(calls) == 1 else output + 1

    net.shared.register_forward_hook(change)


def swap_list(net):
    net.join.register_forward_pre_hook(lambda _module, inputs: (inputs[0][::-1], inputs[1] * 2))


def change_tuple(net):
    net.join.register_forward_hook(lambda _module, _inputs, output: (output[0] * 2, output[1] - 1))


EFFECTS = {
    double_input: "plain",
    double_input_in_tuple: "plain",
    pre_hooks_chain: "plain",
    change_output: "siblings",
    forward_hooks_chain: "siblings",
    scale_gradient: "siblings",
    backward_hooks_chain: "siblings",
    clamp_gradient_at_relus: "siblings",
    drop_gradient: "siblings",
    all_three_kinds: "siblings",
    by_call: "called_twice",
    swap_list: "inner_structures",
    change_tuple: "inner_structures",
}


def note(events, text):
    """A hook of any kind that only writes down that it was called."""
    return lambda *_: events.append(text)


def backward_of(net, x):
    net(x.clone().requires_grad_()).sum().backward()


def pre_adds_forward_on_same(net, x, events):
    def pre(_module, _inputs):
        events.append("pre")
        net.second.register_forward_hook(note(events, "forward"))

    net.second.register_forward_pre_hook(pre)
    net(x)
    events.append("next pass")
    net(x)


def pre_adds_hook_on_later(net, x, events):
    def pre(_module, _inputs):
        events.append("pre of first")
        net.third.register_forward_hook(note(events, "forward of third"))

    handle = net.first.register_forward_pre_hook(pre)
    net(x)
    handle.remove()
    events.append("next pass")
    net(x)


def forward_adds_forward_on_same(net, x, events):
    def forward(*_):
        events.append("one")
        if "two" not in events:
            net.second.register_forward_hook(note(events, "two"))

    net.second.register_forward_hook(forward)
    net(x)
    events.append("next pass")
    net(x)


def forward_removes_itself(net, x, events):
    def forward(*_):
        events.append("once")
        handle.remove()

    handle = net.second.register_forward_hook(forward)
    net(x)
    net(x)


def first_removes_second(net, x, events):
    def first(*_):
        events.append("first")
        handle.remove()

    net.second.register_forward_hook(first)
    handle = net.second.register_forward_hook(note(events, "second"))
    net(x)
    events.append("next pass")
    net(x)


def pre_removes_forward(net, x, events):
    def pre(*_):
        events.append("pre")
        handle.remove()

    net.second.register_forward_pre_hook(pre)
    handle = net.second.register_forward_hook(note(events, "forward"))
    net(x)


def remove_backward_before_backward(net, x, events):
    handle = net.second.register_full_backward_hook(note(events, "backward"))
    output = net(x.clone().requires_grad_())
    handle.remove()
    output.sum().backward()
    events.append("next pass")
    backward_of(net, x)


def add_backward_after_forward(net, x, events):
    output = net(x.clone().requires_grad_())
    net.second.register_full_backward_hook(note(events, "backward"))
    output.sum().backward()
    events.append("next pass")
    backward_of(net, x)


EVENTS = [
    pre_adds_forward_on_same,
    pre_adds_hook_on_later,
    forward_adds_forward_on_same,
    forward_removes_itself,
    first_removes_second,
    pre_removes_forward,
    remove_backward_before_backward,
    add_backward_after_forward,
]


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    index = {"nets": {}, "effects": {}, "events": {}}
    for net in sorted(set(EFFECTS.values())):
        model, x = models.build(net, 0), models.example(net, 1)
        index["nets"][net] = {"files": models.write_torchscript(net, model, x, folder), "input": store(x)}
    for effect, net in EFFECTS.items():
        model, leaf = models.build(net, 0), models.example(net, 1).requires_grad_()
        effect(model)
        output = model(leaf)
        (output * output).sum().backward()
        gradient = None if leaf.grad is None else store(leaf.grad)
        index["effects"][effect.__name__] = {"net": net, "output": store(output), "gradient": gradient}
    for scenario in EVENTS:
        events = []
        scenario(models.build("siblings", 0), models.example("siblings", 1), events)
        index["events"][scenario.__name__] = events
    (folder / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
