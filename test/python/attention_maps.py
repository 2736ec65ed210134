"""Vision transformers as files, and the maps of their attention by eager PyTorch in float64.

    python3 test/python/attention_maps.py OUT

OUT/index.json: see net_files.py. timm's and torchvision's own transformers, small and with random weights, by fused kernels and not;
one that attends as Hugging Face's does; one without a class token; one that attends within windows. The values are derived
with whole products of matrices; attention is recorded where PyTorch computes it.
"""

import os
import sys

import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from net_files import write_nets
from tensors import seeded

SIZE = (32, 48)
CLASS = 2
recorded = []


def keep(weights):
    weights.retain_grad()
    recorded.append(weights)
    return weights


def explicit_attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    scores = query @ key.transpose(-2, -1) * (scale or query.size(-1) ** -0.5)
    return scores.softmax(-1) @ value


class HuggingFaceAttention(nn.Module):
    """With queries, keys and values of their own, by softmax in float32 at least, or by the fused kernel."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.output = nn.Linear(width, width)
        # A number: a trace would compute it in float32.
        self.heads, self.fused, self.scale = heads, fused, (width // heads) ** -0.5

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.size(0), x.size(1), self.heads, -1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(self.query(x)), self.split(self.key(x)), self.split(self.value(x))
        if self.fused:
            found = F.scaled_dot_product_attention(q, k, v)
        else:
            scores = torch.matmul(q, k.transpose(-1, -2)) * self.scale
            found = torch.matmul(F.softmax(scores, dim=-1), v)
        return self.output(found.transpose(1, 2).reshape(x.shape))


class Tokens(nn.Module):
    """`special` tokens before a grid of 4 x 6; without any the mean is classified."""

    def __init__(self, special: int, fused: bool, width: int = 16) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 8, 8)
        self.special = nn.Parameter(torch.randn(1, special, width))
        self.blocks = nn.ModuleList([HuggingFaceAttention(width, 2, fused) for _ in range(3)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)
        self.count = special

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.special.expand(x.size(0), -1, -1), x], 1)
        for block in self.blocks:
            x = x + block(self.norm(x))
        return self.head(x[:, 0] if self.count > 0 else x.mean(1))


class Adding(nn.Module):
    """A block that adds to its input in place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(width), HuggingFaceAttention(width, 2, False)

    def forward(self, x: Tensor) -> Tensor:
        x += self.attention(self.norm(x * 1.0))
        return x


class InPlace(Tokens):
    """Its blocks' results are read under the name that their input has."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(1, False, width)
        self.blocks = nn.ModuleList([Adding(width) for _ in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.special.expand(x.size(0), -1, -1), x], 1)
        for block in self.blocks:
            block(x)
        return self.head(x[:, 0])


class Windows(nn.Module):
    """Attention within the halves of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.attention, self.head = nn.Conv2d(3, 16, 8, 8), HuggingFaceAttention(16, 2, False), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        halves = tokens.reshape(tokens.size(0) * 2, tokens.size(1) // 2, tokens.size(2))
        return self.head(self.attention(halves).reshape(tokens.shape).mean(1))


def maps(model, x, special, grid=(4, 6)):
    recorded.clear()
    originals = F.scaled_dot_product_attention, F.softmax, Tensor.softmax
    F.scaled_dot_product_attention = explicit_attention
    F.softmax = lambda scores, dim=-1, **_options: keep(originals[2](scores, dim))
    Tensor.softmax = lambda scores, dim=-1: keep(originals[2](scores, dim))
    try:
        logits = model(x.clone().requires_grad_())
        logits[:, CLASS].sum().backward()
    finally:
        F.scaled_dot_product_attention, F.softmax, Tensor.softmax = originals
    layers = [(weights.detach(), weights.grad) for weights in recorded]
    identity = torch.eye(layers[0][0].size(-1), dtype=x.dtype).expand(len(x), -1, -1)
    rules = {
        "attention-rollout": lambda a, _g: 0.5 * a.mean(1) + 0.5 * identity,
        "gradient-attention-rollout": lambda a, g: F.normalize((a * g).mean(1).relu() + identity, p=1, dim=-1),
        "transformer-attribution": lambda a, g: identity + (a * g).relu().mean(1),
    }
    found = {"layers": torch.tensor([len(layers)])}
    for name, rule in rules.items():
        product = identity
        for a, g in layers:
            product = rule(a, g) @ product
        row = product[:, 0] if special > 0 else product.mean(1)
        found[name] = row[:, special:].reshape(len(x), 1, *grid)
    return found


def instead(inputs, own, output):
    """For a hook: what a block returned changes for whoever reads it, also under the name of an input that it changed."""
    return own.zero_().add_(output) if own is inputs[0] else output.clone()


def legrad(model, x, special, blocks, grid=(4, 6)):
    """The score of each block: that of the model whose last block returns what that one did. Attention by the explicit formula."""
    recorded.clear()
    outputs, ends = [], []
    originals = F.scaled_dot_product_attention, F.softmax, Tensor.softmax

    def record(_module, _inputs, output):
        outputs.append(output.clone())  # the next block may change it
        ends.append(len(recorded))

    handles = [block.register_forward_hook(record) for block in blocks]
    F.scaled_dot_product_attention = explicit_attention
    F.softmax = lambda scores, dim=-1, **_options: keep(originals[2](scores, dim))
    Tensor.softmax = lambda scores, dim=-1: keep(originals[2](scores, dim))
    try:
        model(x.clone().requires_grad_())
        for handle in handles:
            handle.remove()
        own = [recorded[end - 1] for end in ends]
        total = 0
        for matrix, output in zip(own, list(outputs)):
            handle = blocks[-1].register_forward_hook(lambda _module, inputs, own, output=output: instead(inputs, own, output))
            score = model(x)[:, CLASS].sum()
            handle.remove()
            (gradient,) = torch.autograd.grad(score, matrix, retain_graph=True)
            total = total + gradient.relu().sum((1, 2)) / (matrix.size(1) * matrix.size(2))
    finally:
        F.scaled_dot_product_attention, F.softmax, Tensor.softmax = originals
    return (total / len(own))[:, special:].reshape(len(x), 1, *grid)


class Exported:
    """What write_nets saves, as a program of torch.export."""

    def __init__(self, model, x) -> None:
        batch = torch.export.Dim("batch", min=1, max=64)
        self.program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))

    def save(self, path) -> None:
        torch.export.save(self.program, path + "2")
        os.replace(path + "2", path)


def vision_transformers():
    common = dict(img_size=SIZE, patch_size=8, embed_dim=32, depth=3, num_heads=4, num_classes=5)
    yield "timm", timm.models.vision_transformer.VisionTransformer(**common), 1
    yield "timm-registers", timm.models.vision_transformer.VisionTransformer(**common, reg_tokens=4), 5
    yield "timm-deit", timm.models.deit.VisionTransformerDistilled(**common), 2
    explicit = timm.models.vision_transformer.VisionTransformer(**common)
    for block in explicit.blocks:
        block.attn.fused_attn = False
    yield "timm-explicit", explicit, 1
    yield "like-hf", Tokens(1, False), 1
    yield "like-hf-fused", Tokens(1, True), 1
    yield "like-hf-in-place", InPlace(), 1
    yield "no-class-token", Tokens(0, True), 0


def every_case():
    torch.backends.mha.set_fastpath_enabled(False)
    x = seeded((2, 3, *SIZE), 3, torch.float64)
    for name, model, special in vision_transformers():
        model = model.double().eval()
        for parameter in model.parameters():
            # timm begins with such small weights that all attention is alike.
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.3)
        values = maps(model, x, special) | {"legrad": legrad(model, x, special, model.blocks)}
        with torch.no_grad():
            traced = torch.jit.trace(model, x[:1], check_trace=False)
        yield name, traced, [x], values
        if name in ("timm", "like-hf"):
            yield f"{name}-exported", Exported(model, x), [x], values
        if name.startswith("like-hf"):
            yield f"{name}-scripted", torch.jit.script(model), [x], values
    square = seeded((2, 3, 32, 32), 4, torch.float64)
    model = torchvision.models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=5).double().eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.3)
    values = maps(model, square, 1, grid=(4, 4))
    values["legrad"] = legrad(model, square, 1, model.encoder.layers, (4, 4))
    yield "torchvision", torch.jit.script(model), [square], values
    torch.backends.mha.set_fastpath_enabled(True)
    with torch.no_grad():
        yield "torchvision-traced", torch.jit.trace(model, square[:1], check_trace=False), [square], values
    yield "windows", torch.jit.script(Windows().double().eval()), [x], {}


if __name__ == "__main__":
    write_nets(sys.argv[1], every_case)
