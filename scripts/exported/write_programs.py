"""Small exported programs, and what the torch that writes them says of them: the Python half of old-files.mjs.

    python3 scripts/exported/write_programs.py OUT
    python3 scripts/exported/write_programs.py OUT huggingface

writes OUT/WRITER.NAME.pt2.gz and OUT/WRITER.json.gz, where WRITER is torch-VERSION: for each program an input, its output, the gradient of
the output's sum at the input, and the Grad-CAM map of a layer, as lists of numbers. Runs with torch 2.5 and later. The second form
writes vision models of Hugging Face's transformers, as small as their configurations allow; WRITER is transformers-VERSION then.
"""

import gzip
import json
import sys
import tempfile
import warnings
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.norm(self.conv(x)) + x)


class Convolutional(nn.Module):
    """A block that runs twice, a buffer, a resize to the input's own size and sizes in the code."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Hardswish(), Block(6), nn.MaxPool2d(2))
        self.again = Block(6)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 6))
        self.classifier = nn.Linear(6, 5)

    def forward(self, x):
        y = self.again(self.again(self.features(x)))
        y = nn.functional.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)
        y = y * self.scale.view(1, -1, 1, 1)
        return self.classifier(y.mean((2, 3)))


class Tokens(nn.Module):
    """Attention over positions of a convolution, with a class token for each image."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 8, 4, stride=4)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.position = nn.Parameter(torch.zeros(1, 17, 8))
        self.norm = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.features(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(x.shape[0], -1, -1), tokens], 1) + self.position
        n, t, c = tokens.shape
        q, k, v = self.qkv(self.norm(tokens)).reshape(n, t, 3, 2, c // 2).permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, c)
        return self.head((tokens + nn.functional.gelu(mixed))[:, 0])


def spread(model):
    """Values that say something everywhere, whatever a version fills parameters with."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in list(model.parameters()) + [b for n, b in model.named_buffers() if "running" in n]:
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.4)
        for name, buffer in model.named_buffers():
            if name.endswith("running_var"):
                buffer.abs_().add_(0.5)
    return model.eval()


def facts(model, x, layer, part):
    kept = []
    handle = model.get_submodule(layer).register_forward_hook(lambda _m, _i, value: kept.append(value))
    x = x.clone().requires_grad_()
    output = model(x) if part is None else model(x)[part]
    handle.remove()
    gradient, at_layer = torch.autograd.grad(output.sum(), [x, kept[0]])
    cam = (kept[0] * at_layer.mean((2, 3), keepdim=True)).sum(1, keepdim=True).clamp(min=0)
    listed = {"input": x, "output": output, "gradient": gradient, "cam": cam}
    return {name: {"shape": list(t.shape), "values": short(t)} for name, t in listed.items()}


def short(tensor):
    """As many digits as tell float32 apart."""
    return [float(f"{value:.9g}") for value in tensor.detach().flatten().tolist()]


def packed(file, data):
    file.write_bytes(gzip.compress(data, mtime=0))


def plain():
    x = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    yield "convolutional", Convolutional(), x, "features", None, True
    yield "static", Convolutional(), x, "features", None, False
    yield "tokens", Tokens(), x, "features", None, True


def huggingface():
    import transformers as hf

    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    common = {"num_labels": 5, "image_size": 32}
    tokens = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 8, **common}
    stages = {"hidden_sizes": [8, 16, 16, 16], "depths": [1, 1, 1, 1], **common}
    windows = {"embed_dim": 8, "depths": [1, 2], "num_heads": [1, 2], "window_size": 4, "patch_size": 4, **common}
    projection = "embeddings.patch_embeddings.projection"
    vit = hf.ViTForImageClassification(hf.ViTConfig(intermediate_size=32, **tokens))
    yield "vit", vit, x, f"vit.{projection}", "logits", True
    convnext = hf.ConvNextForImageClassification(hf.ConvNextConfig(**stages))
    yield "convnext", convnext, x, "convnext.embeddings.patch_embeddings", "logits", True
    yield "swin", hf.SwinForImageClassification(hf.SwinConfig(**windows)), x, f"swin.{projection}", "logits", True
    dino = hf.Dinov2ForImageClassification(hf.Dinov2Config(mlp_ratio=2, **tokens))
    yield "dinov2", dino, x, f"dinov2.{projection}", "logits", True


def main(out, which):
    version = torch.__version__.split("+")[0]
    writer = f"torch-{version}"
    if which == "huggingface":
        import transformers

        writer = f"transformers-{transformers.__version__}"
    programs = {}
    batch = torch.export.Dim("batch", min=1, max=64)
    for name, model, x, layer, part, dynamic in (huggingface if which == "huggingface" else plain)():
        model = spread(model)
        shapes = ({0: batch},) if dynamic else None
        program = torch.export.export(model, (x,), dynamic_shapes=shapes)
        with tempfile.TemporaryDirectory() as folder:
            torch.export.save(program, f"{folder}/{name}.pt2")
            packed(out / f"{writer}.{name}.pt2.gz", Path(f"{folder}/{name}.pt2").read_bytes())
        modules = [path for path, _ in model.named_modules()]
        programs[name] = {"layer": layer, "part": part, "modules": modules, **facts(model, x, layer, part)}
    packed(out / f"{writer}.json.gz", json.dumps({"torch": version, "programs": programs}).encode())
    print(writer, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "plain")
