"""Nets that a seed decides: operators in an order that nobody thought of, with branches, loops, changes in place and values
that several others read. They take [N, 3, 16, 20], give logits [N, 5], and have layers `stem`, `middle` and `last`, which
a gradient reaches.

    python3 test/python/random_nets.py SEED

prints the source of one. It is written as a program, since TorchScript reads the source of what it compiles.
"""

import importlib.util
import random
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from gates import Watch, check_margin

HEAD = '''"""Written by random_nets.py."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
{modules}

    def forward(self, x: Tensor) -> Tensor:
{lines}
'''

CHANNELS = [8, 16, 24, 32, 32, 40, 48]
WIDE = [32, 32, 48, 64]
CURVES = ["F.silu({0})", "F.gelu({0})", "F.hardswish({0})", "F.leaky_relu({0}, 0.1)", "torch.sigmoid({0})", "torch.tanh({0})"]
# Of the seeds that models.py has names for.
COUNT = 100_000
LAYERS = ["stem", "middle", "last"]


@dataclass(frozen=True)
class Value:
    """A tensor of the program. Its height and width are those for images of 16x20."""

    name: str
    channels: int
    height: int
    width: int

    @property
    def shape(self):
        return self.channels, self.height, self.width


class Program:
    """Writes a net, a statement at a time. Each step adds values to those that later steps may read."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.modules, self.lines, self.values = [], [], []
        self.names = 0
        self.indent = " " * 8
        self.nested = 0
        # Half of the nets have only what is computed split in both directions: see native/core/split/equal_rewrites.cc.
        self.is_known = self.random.random() < 0.5
        self.channels = WIDE if self.is_known else CHANNELS

    def name(self, stem):
        self.names += 1
        return f"{stem}{self.names}"

    def line(self, text):
        self.lines.append(self.indent + text)

    def module(self, stem, made):
        name = self.name(stem)
        self.modules.append(f"{' ' * 8}self.{name} = {made}")
        return name

    def give(self, expression, channels, height, width, again=False):
        """Assigns it to a new variable, or to that of the last value where it reads that, as programs do with x = f(x)."""
        reuse = again and not self.nested and self.values and self.random.random() < 0.6
        reuse = reuse and re.search(rf"\b{self.values[-1].name}\b", expression)
        name = self.values.pop().name if reuse else self.name("v")
        self.line(f"{name} = {expression}")
        value = Value(name, channels, height, width)
        self.values.append(value)
        return value

    def like(self, value, expression, again=False):
        return self.give(expression, *value.shape, again)

    def any(self):
        """Rather the last, so that nets become deep."""
        return self.values[-1] if self.random.random() < 0.75 else self.random.choice(self.values)

    # Steps. Each takes one of the values.

    def conv(self, x):
        r = self.random
        kernel, stride = r.choice([1, 1, 3, 3, 3, 5]), r.choice([1, 1, 1, 2])
        dilation = 2 if kernel == 3 and r.random() < 0.15 else 1
        padding = dilation * (kernel // 2) if r.random() < 0.85 else 0
        channels = r.choice(self.channels)
        groups = 1 if self.is_known else r.choice([1, 1, 1, 1, 2, x.channels])
        if x.channels % groups or channels % groups:
            groups = 1
        reach = dilation * (kernel - 1) + 1
        height, width = ((n + 2 * padding - reach) // stride + 1 for n in (x.height, x.width))
        if min(height, width) < 2:
            return None
        bias = r.random() < 0.5
        made = (
            f"nn.Conv2d({x.channels}, {channels}, {kernel}, stride={stride}, padding={padding}, "
            f"dilation={dilation}, groups={groups}, bias={bias})"
        )
        name = self.module("conv", made)
        return self.give(f"self.{name}({x.name})", channels, height, width, again=True)

    def norm(self, x):
        name = self.module("norm", f"nn.BatchNorm2d({x.channels})")
        return self.like(x, f"self.{name}({x.name})", again=True)

    def relu(self, x):
        way = self.random.choice(["module", "module", "function", "method", "in place", "in place module"])
        if way in {"module", "in place module"}:
            name = self.module("relu", f"nn.ReLU(inplace={way != 'module'})")
            return self.like(x, f"self.{name}({x.name})", again=True)
        text = {"function": "F.relu({0})", "method": "{0}.relu()", "in place": "F.relu({0}, inplace=True)"}[way]
        return self.like(x, text.format(x.name), again=True)

    def block(self, x):
        """What most nets are made of: a norm, a ReLU and a convolution, in the two usual orders."""
        order = [self.norm, self.relu, self.conv] if self.random.random() < 0.5 else [self.conv, self.norm, self.relu]
        for step in order:
            x = step(x) or x
        return x

    def curve(self, x):
        return self.like(x, self.random.choice(CURVES).format(x.name), again=True)

    def limit(self, x):
        return self.like(x, f"F.relu6({x.name})", again=True)

    def pool(self, x):
        if min(x.height, x.width) < 4:
            return None
        kernel, stride, padding = self.random.choice([(2, 2, 0), (3, 2, 1), (3, 1, 1)])
        kind = self.random.choice(["max", "avg"])
        height, width = ((n + 2 * padding - kernel) // stride + 1 for n in (x.height, x.width))
        text = f"F.{kind}_pool2d({x.name}, {kernel}, {stride}, {padding})"
        return self.give(text, x.channels, height, width, again=True)

    def other(self, x):
        """Another value of the same shape, or of the same size of the maps; made where there is none."""
        others = [v for v in self.values if v.shape == x.shape and v.name != x.name]
        if others and self.random.random() < 0.8:
            return self.random.choice(others)
        name = self.module("side", f"nn.Conv2d({x.channels}, {x.channels}, 3, padding=1)")
        return self.like(x, f"self.{name}({x.name})")

    def add(self, x):
        y = self.other(x)
        way = self.random.choice(["{0} + {1}", "{1} + {0}", "torch.add({0}, {1}, alpha=2)", "{0} - {1}", "in place", "in place"])
        if way == "in place":
            self.line(self.random.choice(["{0} += {1}", "{0}.add_({1})"]).format(x.name, y.name))
            return x
        return self.like(x, way.format(x.name, y.name))

    def cat(self, x):
        same = [v for v in self.values if v.shape[1:] == x.shape[1:] and v.name != x.name]
        parts = [x, *self.random.sample(same, min(len(same), self.random.choice([1, 1, 2])))]
        if len(parts) < 2:
            parts.append(self.other(x))
        self.random.shuffle(parts)
        channels = sum(part.channels for part in parts)
        if channels > 96:
            return None
        names = [part.name for part in parts]
        if self.random.random() < 0.3:
            grown = self.name("parts")
            self.line(f"{grown} = [{names[0]}]")
            for name in names[1:]:
                self.line(f"{grown}.append({name})")
            return self.give(f"torch.cat({grown}, 1)", channels, x.height, x.width)
        return self.give(f"torch.cat([{', '.join(names)}], 1)", channels, x.height, x.width)

    def scale(self, x):
        ways = ["{0} * 0.7", "{0} / 2.0", "{0} - 0.1", "{0} * 1.0", "in place"]
        way = self.random.choice(ways if self.is_known else [*ways, "0.3 - {0}", "{0} * {0}.std()"])
        if way == "in place":
            self.line(self.random.choice(["{0}.mul_(0.8)", "{0} *= 1.25"]).format(x.name))
            return x
        return self.like(x, way.format(x.name))

    def squeeze(self, x):
        """Channels weighted by what a small net makes of their means."""
        down = self.module("down", f"nn.Conv2d({x.channels}, 8, 1)")
        up = self.module("up", f"nn.Conv2d(8, {x.channels}, 1)")
        weights = self.name("w")
        self.line(f"{weights} = torch.sigmoid(self.{up}(F.relu(self.{down}(F.adaptive_avg_pool2d({x.name}, 1)))))")
        return self.like(x, f"{x.name} * {weights}", again=True)

    def resize(self, x):
        others = [v for v in self.values if v.shape[1:] != x.shape[1:]]
        if not others:
            return None
        y = self.random.choice(others)
        mode = self.random.choice(["'nearest'", "'bilinear', align_corners=False"])
        size = self.random.choice([f"{y.name}.shape[2:]", f"[{y.name}.size(2), {y.name}.size(3)]"])
        return self.give(f"F.interpolate({x.name}, size={size}, mode={mode})", x.channels, y.height, y.width)

    def part(self, x):
        """Of the channels, as a view, by a shuffle or in two halves."""
        if x.channels % 2 or self.is_known:
            return None
        half = x.channels // 2
        way = self.random.choice(["slice", "halves", "shuffle", "narrow"])
        if way == "slice":
            return self.give(f"{x.name}[:, {half}:]", half, x.height, x.width)
        if way == "narrow":
            return self.give(f"{x.name}.narrow(1, {half // 2}, {half})", half, x.height, x.width)
        if way == "halves":
            first, second = self.name("v"), self.name("v")
            self.line(f"{first}, {second} = {x.name}.chunk(2, 1)")
            self.values += [Value(name, half, x.height, x.width) for name in (first, second)]
            return self.values[-1]
        text = f"{x.name}.view(-1, 2, {half}, {x.height}, {x.width}).transpose(1, 2).reshape(-1, {x.channels}, {x.height}, {x.width})"
        return self.like(x, text)

    def pad(self, x):
        return self.give(f"F.pad({x.name}, [1, 0, 0, 1])", x.channels, x.height + 1, x.width + 1)

    def same(self, x):
        """What returns its input, or not, as PyTorch decides: an operator in place tells which."""
        known = ["F.dropout({0}, 0.5, self.training)", "F.dropout2d({0}, 0.5, self.training)", "{0} + 0.0"]
        others = ["{0}.type_as(x)", "torch.atleast_2d({0})", "{0}.contiguous()", "{0}.to(x.dtype)", "{0}.clone()", "torch.reshape({0}, {0}.shape)"]
        way = self.random.choice(known if self.is_known else [*known, *others])
        if self.random.random() < 0.5:
            return self.like(x, way.format(x.name), again=True)
        y = self.like(x, way.format(x.name))
        changed, read = self.random.sample([x, y], 2)
        self.line(f"{changed.name}.mul_(0.9)")
        return self.like(x, f"{changed.name} + {read.name}")

    def shift(self, x):
        """By means over space."""
        same = [v for v in self.values if v.channels == x.channels]
        return self.like(x, f"{x.name} - {self.random.choice(same).name}.mean((2, 3), keepdim=True)")

    def inside(self, x, steps):
        """Statements of their own scope. Returns the values of it in order, from `x` on."""
        before, indent = list(self.values), self.indent
        self.indent += " " * 4
        self.nested += 1
        inner = [x]
        for _ in range(steps):
            step = self.random.choice([self.conv, self.norm, self.relu, self.block, self.add, self.scale, self.limit])
            inner.append(step(inner[-1]) or inner[-1])
        self.nested -= 1
        self.indent = indent
        self.values = before
        return inner

    def branch(self, x):
        """One that is taken, with what its last and an earlier statement gave."""
        if self.nested:
            return None
        last, middle = self.name("v"), self.name("v")
        condition = self.random.choice(["{0}.shape[0] < 100", "{0}.dim() == 4", "not self.training", "float({0}.mean()) < 1e6"])
        at = len(self.lines)
        inner = self.inside(x, self.random.choice([2, 3, 4]))
        first, second = inner[-1], self.random.choice(inner)
        self.lines.insert(at, self.indent + f"if {condition.format(x.name)}:")
        self.line(f"    {last}, {middle} = {first.name}, {second.name}")
        self.line("else:")
        self.line(f"    {last}, {middle} = {x.name}, {x.name}")
        self.values += [Value(middle, *second.shape), Value(last, *first.shape)]
        return self.values[-1]

    def loop(self, x):
        """Turns that each read what the turn before gave; its modules are called in each."""
        if self.nested:
            return None
        at, carried, kept = len(self.lines), self.name("v"), self.name("v")
        start = Value(carried, *x.shape)
        inner = self.inside(start, self.random.choice([2, 3]))
        same = [value for value in inner[1:] if value.shape == x.shape]
        turns = self.random.choice(["2", f"{x.name}.shape[1] // {x.channels}"])
        if not same:
            del self.lines[at:]
            return None
        self.lines[at:at] = [f"{self.indent}{carried}, {kept} = {x.name}, {x.name}", f"{self.indent}for _ in range({turns}):"]
        self.line(f"    {kept}, {carried} = {self.random.choice([*same, start]).name}, {same[-1].name}")
        self.values += [Value(kept, *x.shape), Value(carried, *x.shape)]
        return self.values[-1]

    STEPS = [block] * 5 + [conv] * 3 + [relu] * 3 + [add] * 4 + [cat] * 3 + [norm] * 2 + [pool] * 2
    STEPS += [branch] * 2 + [loop, curve, limit, scale, squeeze, resize, part, pad, same, same, shift]

    def end(self):
        """The last value decides, and often one more, so that not all of the net comes before one layer."""
        taken = [self.values[-1]]
        if self.random.random() < 0.5:
            taken.append(self.random.choice(self.values))
        rows = []
        for value in taken:
            way = self.random.choice(["pooled", "mean", "flat", "max"])
            width = value.channels * 2 if way == "flat" else value.channels
            linear = self.module("linear", f"nn.Linear({width}, 5)")
            text = {
                "pooled": f"torch.flatten(F.adaptive_avg_pool2d({value.name}, (1, 1)), 1)",
                "mean": f"{value.name}.mean([2, 3])",
                "flat": f"torch.flatten(F.adaptive_avg_pool2d({value.name}, (1, 2)), 1)",
                "max": f"F.adaptive_max_pool2d({value.name}, 1).flatten(1)",
            }[way]
            rows.append(f"self.{linear}({text})")
        self.line(f"return {' + '.join(rows)}")

    def layer(self, name, channels_in, height, width, expression):
        """One that is called once: the tests look at it."""
        channels = self.random.choice(self.channels)
        made = f"nn.Conv2d({channels_in}, {channels}, 3, padding=1)"
        if name != "stem" and self.random.random() < 0.4:
            channels = channels_in
            made = self.random.choice(["nn.ReLU(inplace=True)", "nn.ReLU()", f"nn.BatchNorm2d({channels})"])
        self.modules.append(f"{' ' * 8}self.{name} = {made}")
        self.give(f"self.{name}({expression})", channels, height, width)

    def write(self):
        self.layer("stem", 3, 16, 20, "x")
        for name in LAYERS[1:]:
            for _ in range(self.random.randint(2, 7)):
                self.random.choice(self.STEPS)(self, self.any())
            x = self.values[-1]
            self.layer(name, *x.shape, x.name)
        self.random.choice([self.block, self.norm, self.relu, self.branch])(self.values[-1])
        self.end()
        return HEAD.format(modules="\n".join(self.modules), lines="\n".join(self.lines))


# Of the sources, as long as the program runs.
_folder = tempfile.TemporaryDirectory(prefix="random-nets-")


def load(source, name):
    """The net that the source makes: from a file, of which TorchScript reads it again."""
    path = Path(_folder.name) / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Net().eval()


def has_gradients(net):
    """Whether PyTorch runs it, back to all weights, its gradient reaches each layer, and no ReLU decides by rounding errors
    alone: in a random program a change in place may forbid a gradient, what a layer returns need not be read, and values may
    cancel."""
    returned = {}
    for name in LAYERS:
        net.get_submodule(name).register_forward_hook(lambda _module, _inputs, value, name=name: returned.update({name: value}))
    x = torch.randn(2, 3, 16, 20, dtype=torch.float32)
    single, exact = Watch(), Watch()
    try:
        with single:
            score = net(x.clone().requires_grad_())[:, 1].sum()
        gradients = torch.autograd.grad(score, [returned[name] for name in LAYERS], retain_graph=True, allow_unused=True)
        score.backward()
        with exact:
            net.double()(x.double().requires_grad_())
        check_margin(single, exact)
    except RuntimeError:
        return False
    return all(g is not None and has_weights(g) for g in gradients)


def has_weights(gradient):
    """Whether Grad-CAM's weights of each image are finite, and more than rounding: their sums may cancel."""
    sizes, weights = gradient.abs().mean((1, 2, 3)), gradient.mean((2, 3)).abs().amax(1)
    return bool(sizes.isfinite().all() and (weights > 1e-3 * sizes).all())


def first_with_gradients(seed):
    for attempt in range(100):
        written = Program(f"{seed}.{attempt}").write()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            if has_gradients(load(written, f"tried_{seed}_{attempt}")):
                return written
    raise RuntimeError(f"no program of seed {seed} has gradients")


@cache
def source(seed):
    """The first program of the seed whose net has gradients. Its weights and images are drawn here: they do not decide."""
    # On a thread of its own, which no mode of the caller's watches: see gates.py.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(first_with_gradients, seed).result()


def build(seed):
    return load(source(seed), f"random_{seed}")


if __name__ == "__main__":
    print(source(int(sys.argv[1])))
