"""The gates of a net, its ReLUs and max-pools, as a run in another arithmetic may find them.

A gradient jumps where a gate turns. Two right results may therefore differ by far more than rounding where an input of a
ReLU lies within rounding of zero, or two values that a max-pool compares within rounding of each other: which side the
gate takes there depends on the order in which a processor's kernels add. `OtherSide` turns all such gates at once in
float64, so that how much they matter is known instead of guessed. `Watch` reads what reaches the gates, by which
`check_margin` proves that rounding indeed stays within the margin.

A sum that a method divides by may be undecided, too: where its terms cancel, rounding is as large as the sum. `OtherSide`
moves such sums toward zero.
"""

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

# Of the root mean square of what reaches the gate for an image. Float32 differs from float64 there by up to 5.5e-6 in
# densenet121, 3.9e-6 in resnet18 and 2.3e-6 in vgg11 (the worst of millions of elements; 5e-7 in the mean).
MARGIN = 1.2e-5

RELUS = {F.relu, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_}
RELUS6 = {F.relu6, F.hardtanh}  # nn.ReLU6 calls the latter, and none of the nets has another
POOLS = {
    F.max_pool1d: F.max_pool1d_with_indices,
    F.max_pool2d: F.max_pool2d_with_indices,
    F.max_pool3d: F.max_pool3d_with_indices,
    torch.max_pool1d: F.max_pool1d_with_indices,
    torch.max_pool2d: F.max_pool2d_with_indices,
    torch.max_pool3d: F.max_pool3d_with_indices,
    F.max_pool1d_with_indices: F.max_pool1d_with_indices,
    F.max_pool2d_with_indices: F.max_pool2d_with_indices,
    F.max_pool3d_with_indices: F.max_pool3d_with_indices,
}

SAMPLES = 499  # a prime, so that the samples fall into all rows and channels

_entered = []


def at_gate(func, args, kwargs):
    """For whatever replaces a ReLU by something of its own: what the mode that was entered would make of its arguments."""
    return _entered[-1].seen_at(func, args, kwargs) if _entered else (args, kwargs)


def moved_sums(terms):
    """For whatever divides by sums over the last two dimensions of an array of NumPy, which are [N, C, 1, 1]: what the mode that was
    entered would add to them."""
    return _entered[-1].at_sums(terms) if _entered else 0


def rounding_of_sums(terms):
    """How far off float32 may be in each sum: of roundings with the root mean square of MARGIN / 2, which is near the worst."""
    count = terms[0, 0].size
    squares = (terms.astype("float64") ** 2).mean(axis=(1, 2, 3), keepdims=True)
    return MARGIN / 2 * (count * squares) ** 0.5


class Watch(TorchFunctionMode):
    """Keeps of every gate that a gradient will pass some of what reached it, relative to its root mean square."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.undecided = 0
        self.cancelling = 0

    def __enter__(self):
        _entered.append(self)
        return super().__enter__()

    def __exit__(self, *error):
        _entered.pop()
        return super().__exit__(*error)

    def __torch_function__(self, func, _types, args=(), kwargs=None):
        args, kwargs = self.seen_at(func, args, kwargs or {})
        return func(*args, **kwargs)

    def seen_at(self, func, args, kwargs):
        is_gate = func in RELUS or func in RELUS6 or func in POOLS
        # Without a gradient nothing jumps: not in scores alone, nor where guided backprop applies a ReLU to gradients. And a
        # trace would record what is done here.
        if not is_gate or not torch.is_grad_enabled() or torch.jit.is_tracing():
            return args, kwargs
        return self.at_gate(func, args, kwargs)

    def at_gate(self, func, args, kwargs):
        x = (args[0] if args else kwargs["input"]).detach()
        flat = (x / root_mean_square(x)).flatten().double()
        self.seen.append(flat[torch.linspace(0, len(flat) - 1, min(len(flat), SAMPLES)).long()])
        if x.dtype == torch.float64:
            self.undecided += int(to_turn(func, x, args, kwargs).count_nonzero())
        return args, kwargs


    def at_sums(self, terms):
        sums = abs(terms.sum(axis=(2, 3), keepdims=True))
        self.cancelling += int((sums < 1000 * rounding_of_sums(terms)).sum())
        return 0


class OtherSide(Watch):
    """Runs a net with every gate turned that lies within MARGIN of turning: values change by no more than rounding does."""

    def at_gate(self, func, args, kwargs):
        x = args[0] if args else kwargs["input"]
        moved = to_turn(func, x, args, kwargs)
        # Added, so that the gradient passes as if nothing had happened; in place where the ReLU is.
        in_place = kwargs.get("inplace", len(args) > 1 and args[1] is True) or func in {torch.relu_, torch.Tensor.relu_}
        x = x.add_(moved) if in_place and func not in POOLS else x + moved
        return (x, *args[1:]), {name: value for name, value in kwargs.items() if name != "input"}

    def at_sums(self, terms):
        sums = terms.sum(axis=(2, 3), keepdims=True)
        return -(sums / 2).clip(-rounding_of_sums(terms), rounding_of_sums(terms))


def root_mean_square(x):
    """Of each image of a batch, so that what is undecided does not depend on the others."""
    rest = tuple(range(1, x.dim()))
    squares = x.double().square()
    return (squares.mean(rest, keepdim=True) if rest else squares).sqrt().clamp(min=1e-30).to(x.dtype)


@torch.no_grad()
def to_turn(func, x, args, kwargs):
    """What to add to what reaches a gate for all that is undecided there to come to the other side; elsewhere zero."""
    if func in POOLS:
        return lowered_winners(POOLS[func], x.detach(), args[1:], kwargs)
    return mirrored(x.detach(), (0, 6) if func in RELUS6 else (0,))


def mirrored(x, corners):
    """What to add to `x` for each element that is near a corner to come as far from it on the other side."""
    moved, margin = torch.zeros_like(x), MARGIN * root_mean_square(x)
    for corner in corners:
        moved += torch.where((x - corner).abs() < margin, 2 * (corner - x), 0)
    return moved


def lowered_winners(pool, x, args, kwargs):
    """What to add to `x` for the second of each window to win where it comes near the first."""
    highest, at = pool(x, *args, **kwargs)
    spatial = at.dim() - 2 if at.dim() > 2 else 1
    flat, index = x.flatten(-spatial), at.flatten(-spatial)
    rest = flat.scatter(-1, index, -torch.inf).reshape(x.shape)
    second = pool(rest, *args, **kwargs)[0]
    gap = highest - second
    near = torch.where(gap < 2 * MARGIN * root_mean_square(x), -2 * gap, 0)
    # Where windows overlap, a winner of several is lowered as far as the one that asks for most says.
    return torch.zeros_like(flat).scatter_reduce(-1, index, near.flatten(-spatial), "amin").reshape(x.shape)


def check_margin(single, exact):
    """Of two Watches of the same passes in float32 and in float64: that rounding stays within the margin."""
    if len(single.seen) != len(exact.seen):
        raise RuntimeError(f"{len(single.seen)} gates in float32, {len(exact.seen)} in float64: the passes are not the same")
    worst = max((float((a - b).abs().max()) for a, b in zip(single.seen, exact.seen)), default=0)
    if not worst < MARGIN:
        raise RuntimeError(f"float32 is {worst:.1e} from float64 at a gate: more than the margin of near ties, {MARGIN}")
