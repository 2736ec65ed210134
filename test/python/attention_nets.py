"""Transformers by torch.nn and by scaled dot-product attention, as TorchScript files, and what eager PyTorch makes of them
by operators that have derivatives.

    python3 test/python/attention_nets.py OUT

OUT/index.json: {NET: {"file", "inputs": [tensor], "values": {NAME: tensor}}}. The target is always class 1.
"""

import sys
from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded

CLASS = 1
ROWS, COLUMNS = 4, 6
torch.backends.mha.set_fastpath_enabled(False)  # for the values; files are made with it


class Patches(nn.Module):
    """float [N, 3, 16, 24] to tokens [N, 24, 16]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(2).transpose(1, 2)


class Encoded(nn.Module):
    """nn.TransformerEncoder, with the options that it is given."""

    def __init__(self, layers: int = 2, final: bool = True, **options) -> None:
        super().__init__()
        self.patches, self.head = Patches(), nn.Linear(16, 5)
        layer = nn.TransformerEncoderLayer(16, 4, 24, batch_first=True, **options)
        norm = nn.LayerNorm(16) if final else None
        self.encoder = nn.TransformerEncoder(layer, layers, norm=norm, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(self.patches(x)).mean(1))


class Masked(nn.Module):
    """One layer with a mask of pairs, of keys, or of both: a shape of its own for each."""

    def __init__(self, pairs: bool, keys: bool) -> None:
        super().__init__()
        self.patches, self.head = Patches(), nn.Linear(16, 5)
        self.layer = nn.TransformerEncoderLayer(16, 2, 24, batch_first=True, norm_first=keys)
        self.pairs, self.keys = pairs, keys

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x)
        count = tokens.size(1)
        pairs: Optional[Tensor] = None
        keys: Optional[Tensor] = None
        if self.pairs:
            pairs = torch.ones(count, count, dtype=torch.bool, device=x.device).triu(2)
        if self.keys:
            # Another number of tokens is left out of each image.
            limits = count - 1 - torch.arange(x.size(0), device=x.device).unsqueeze(1)
            keys = torch.arange(count, device=x.device).unsqueeze(0) > limits
        return self.head(self.layer(tokens, src_mask=pairs, src_key_padding_mask=keys).mean(1))


class Weighing(nn.Module):
    """Attention whose weights take part in the output."""

    def __init__(self, average: bool) -> None:
        super().__init__()
        self.patches, self.head = Patches(), nn.Linear(16, 5)
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.average = average

    def forward(self, x: Tensor) -> Tensor:
        t = self.patches(x)
        out, weights = self.attention(t, t, t, need_weights=True, average_attn_weights=self.average)
        assert weights is not None
        spread = weights.square().flatten(1).sum(1, keepdim=True)
        return self.head(torch.tanh(out).mean(1) * spread)


class Dotted(nn.Module):
    """Scaled dot-product attention with the arguments that it takes, by `kind`."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.patches, self.qkv, self.out, self.head = Patches(), nn.Linear(16, 48), nn.Linear(16, 16), nn.Linear(16, 5)
        self.kind = kind

    def forward(self, x: Tensor) -> Tensor:
        t = self.patches(x)
        n, count, width = t.shape
        q, k, v = self.qkv(t).reshape(n, count, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        if self.kind == "causal":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        elif self.kind == "flags":
            keep = torch.ones(count, count, dtype=torch.bool, device=x.device).tril(3)
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=keep, scale=0.2)
        elif self.kind == "added":
            far = (torch.arange(count, device=x.device).unsqueeze(0) - torch.arange(count, device=x.device).unsqueeze(1)).abs()
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=-0.1 * far.to(q.dtype))
        else:
            y = F.scaled_dot_product_attention(q, k, v)
        return self.head(torch.tanh(self.out(y.transpose(1, 2).reshape(n, count, width))).mean(1))


class Distances(nn.Module):
    """Distances of its features to prototypes, which LibTorch has no second derivative of."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.head = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Tanh()), nn.Linear(4, 5)
        self.prototypes = nn.Parameter(seeded((4, 6), 22))

    def forward(self, x: Tensor) -> Tensor:
        positions = self.stem(x).flatten(2).transpose(1, 2)
        near = torch.cdist(positions, self.prototypes.unsqueeze(0).expand(x.size(0), -1, -1), p=1.5)
        return self.head(torch.exp(-near).mean(1))


def tokens_to_map(t: Tensor) -> Tensor:
    return t.transpose(1, 2).reshape(t.shape[0], -1, ROWS, COLUMNS)


def at_layer(model, layer, x, order=tokens_to_map, curved=False):
    """The activation of a layer's last call and its gradient, and H A where `curved`."""
    seen = []

    def hook(_module, _inputs, output):
        output = output.clone() if output.requires_grad else output.clone().requires_grad_()
        seen.append(output)
        return output

    handle = model.get_submodule(layer).register_forward_hook(hook)
    try:
        score = model(x)[:, CLASS].sum()
        a = seen[-1]
        (g,) = torch.autograd.grad(score, [a], create_graph=curved)
        h = torch.autograd.grad((g * a.detach()).sum(), a)[0] if curved else torch.zeros_like(a)
    finally:
        handle.remove()
    return order(a.detach()), order(g.detach()), order(h)


def grad_cam(model, layer, x, order=tokens_to_map):
    a, g, _ = at_layer(model, layer, x, order)
    return (g.mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu()


def shapley_cam(model, layer, x, order=tokens_to_map):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        a, g, h = at_layer(model, layer, x, order, curved=True)
    return ((g - h / 2).mean((2, 3), keepdim=True) * a).sum(1, keepdim=True).relu()


def saliency(model, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(model(x)[:, CLASS].sum(), x)[0].abs()


def traced_for_inference(model, x):
    """As where a model is exported under no_grad, which then holds fused kernels."""
    torch.backends.mha.set_fastpath_enabled(True)
    with torch.no_grad():
        traced = torch.jit.trace(model, x, check_trace=False)
    torch.backends.mha.set_fastpath_enabled(False)
    return traced


def scripted(model):
    torch.backends.mha.set_fastpath_enabled(True)
    script = torch.jit.script(model)
    torch.backends.mha.set_fastpath_enabled(False)
    return script


def every_case():
    x = seeded((2, 3, 16, 24), 21)
    for name, options in (
        ("post-norm", {"activation": "gelu"}),
        ("pre-norm", {"norm_first": True, "activation": "relu"}),
    ):
        m = Encoded(**options).eval()
        inner = ["encoder.layers.0", "encoder.layers.1", "encoder.layers.1.norm1", "encoder.layers.0.norm2"]
        values = {layer: grad_cam(m, layer, x) for layer in inner + ["patches"]}
        hidden = at_layer(m, "encoder.layers.1.linear1", x)
        values |= {"linear1": (hidden[1].mean((2, 3), keepdim=True) * hidden[0]).sum(1, keepdim=True).relu()}
        values |= {"saliency": saliency(m, x), "output": m(x).detach(), "shapley": shapley_cam(m, "encoder.layers.0", x)}
        yield name, scripted(m), [x], values
        yield f"{name}-traced", traced_for_inference(m, x), [x], values

    for name, pairs, keys in (("pairs", True, False), ("keys", False, True), ("pairs-and-keys", True, True)):
        m = Masked(pairs, keys).eval()
        values = {"layer": grad_cam(m, "layer", x), "patches": grad_cam(m, "patches", x), "saliency": saliency(m, x)}
        values["output"] = m(x).detach()
        yield name, scripted(m), [x], values
        yield f"{name}-traced", traced_for_inference(m, x), [x], values

    for name, average in (("averaged", True), ("by-head", False)):
        m = Weighing(average).eval()
        values = {"patches": grad_cam(m, "patches", x), "saliency": saliency(m, x), "output": m(x).detach()}
        yield name, scripted(m), [x], values
        yield f"{name}-traced", traced_for_inference(m, x), [x], values

    for kind in ("plain", "causal", "flags", "added"):
        m = Dotted(kind).eval()
        values = {"patches": grad_cam(m, "patches", x), "shapley": shapley_cam(m, "patches", x)}
        yield f"dotted-{kind}", torch.jit.script(m), [x], values

    m = Distances().eval()
    plain = lambda t: t
    yield "distances", torch.jit.script(m), [x], {"stem": grad_cam(m, "stem", x, plain)}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
