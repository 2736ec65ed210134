"""What int8 would give: the head of a model, quantised by PyTorch, beside the same head in float32.

    python3 scripts/bench/int8.py maps [--scenes N]      Grad-CAM of the bundled model on held-out scenes
    python3 scripts/bench/int8.py speed [MODEL ...]      a forward to the last layer, 224x224, in turns

The head (all up to the explained layer) is quantised statically: scales of activations from calibration images, one scale of
weights for each channel. The tail and its gradient stay in float32, as they would with `precision: 'bfloat16'`. "dynamic" takes
the scales from the very images that are explained, which no calibration set can better.
"""

import argparse
import copy
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.ao.quantization import get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from nets import NETS, eager
from samples.sample_model import pointing
from samples.sample_model.scenes import normalise, paint

CALIBRATION = 64


def quantised(head: nn.Module, images: Tensor, engine: str) -> nn.Module:
    torch.backends.quantized.engine = engine
    with torch.no_grad():
        prepared = prepare_fx(copy.deepcopy(head).eval(), get_default_qconfig_mapping(engine), (images[:1],))
        prepared(images)
        return convert_fx(prepared)


class Split(nn.Module):
    """A model whose head is another: what `pointing.grad_cam` takes."""

    def __init__(self, features: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features, self.classifier = features, classifier


class InBfloat16(nn.Module):
    """For comparison: a head in the other precision that the package has."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = copy.deepcopy(head).to(torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(x.to(torch.bfloat16)).float()


def centred_ranks(values: Tensor) -> Tensor:
    """Equal values, such as a map's zeros, share the mean of their ranks."""
    _, which, counts = values.flatten().unique(return_inverse=True, return_counts=True)
    ranks = (counts.cumsum(0) - (counts - 1) / 2).double()[which]
    return ranks - ranks.mean()


def rank_correlation(one: Tensor, other: Tensor) -> Tensor:
    a, b = centred_ranks(one), centred_ranks(other)
    return (a * b).sum() / (a.norm() * b.norm())


class Found:
    """What the maps of a quantised head are, beside those of the head in float32."""

    def __init__(self) -> None:
        self.differences, self.correlations, self.same = [], [], []

    def add(self, exact: Tensor, other: Tensor, same: bool) -> None:
        self.differences.append(((exact - other).abs().max() / exact.max()).item())
        self.correlations.append(rank_correlation(exact, other).item())
        self.same.append(same)

    def __str__(self) -> str:
        return (
            f"{len(self.same)} maps; largest difference, of the map's maximum: {statistics.median(self.differences):.3f} in the "
            f"median, {max(self.differences):.3f} at worst; rank correlation {statistics.median(self.correlations):.4f} in the "
            f"median, {min(self.correlations):.3f} at worst; the same top class in {100 * statistics.fmean(self.same):.1f} %"
        )


def maps(count: int, engine: str) -> None:
    model = eager("animals")
    with tempfile.TemporaryDirectory() as folder:
        calibration = paint(Path(folder), "validation", CALIBRATION)
        scenes = paint(Path(folder), "held-out", count)
        static = quantised(model.features, normalise(calibration.batch(torch.arange(CALIBRATION))), engine)
        bfloat16 = InBfloat16(model.features)
        found = {name: Found() for name in ("bfloat16", "int8, static", "int8, dynamic")}
        for i in range(count):
            images = normalise(scenes.batch(torch.tensor([i])))
            dynamic = quantised(model.features, images, engine)
            heads = {"bfloat16": bfloat16, "int8, static": static, "int8, dynamic": dynamic}
            for box in scenes.boxes[i]:
                target = torch.tensor([box["class"]])
                logits, exact = pointing.grad_cam(model, images, target)
                for kind, head in heads.items():
                    other_logits, other = pointing.grad_cam(Split(head, model.classifier), images, target)
                    found[kind].add(exact, other, bool(logits.argmax() == other_logits.argmax()))
        for kind, of_kind in found.items():
            print(f"{kind}: {of_kind}")
        for kind, subject in {"float32": model, "int8, static": Split(static, model.classifier)}.items():
            report = pointing.evaluate(subject, pointing.grad_cam, scenes)
            print(f"{kind}: peak in its box {100 * report.pointing:.1f} %, mass in its box {100 * report.energy:.1f} %")


def head_of(name: str) -> nn.Module:
    model = eager(name)
    if hasattr(model, "features"):
        return model.features
    return nn.Sequential(*(part for key, part in model.named_children() if key not in ("avgpool", "fc"))).eval()


def p50_in_turns(contestants: dict, x: Tensor) -> dict:
    """Milliseconds of a call, by name: 12 rounds of 4 calls each."""
    times = {name: [] for name in contestants}
    for turn in range(13):
        for name, run in contestants.items():
            for _ in range(4):
                began = time.perf_counter()
                run(x)
                if turn > 0:
                    times[name].append(1000 * (time.perf_counter() - began))
    return {name: statistics.median(of) for name, of in times.items()}


def frozen(module: nn.Module, x: Tensor) -> nn.Module:
    return torch.jit.freeze(torch.jit.trace(module, x).eval())


@torch.inference_mode()
def speed(names: list, engine: str) -> None:
    for name in names:
        head = head_of(name).to(memory_format=torch.channels_last)
        for batch in (1, 8):
            torch.manual_seed(1)
            x = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
            contestants = {"float32": frozen(head, x), "int8": frozen(quantised(head, x, engine), x)}
            p50 = p50_in_turns(contestants, x)
            exact, other = (run(x) for run in contestants.values())
            print(
                f"{name}, batch {batch}: float32 {p50['float32']:.1f} ms, int8 {p50['int8']:.1f} ms "
                f"({p50['int8'] / p50['float32']:.2f}); largest difference at the layer "
                f"{((exact - other).abs().max() / exact.abs().max()).item():.2f} of its maximum"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("maps", "speed"))
    parser.add_argument("models", nargs="*", default=["densenet121", "resnet50"])
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--engine", default="x86")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name in options.models:
        if name not in NETS:
            parser.error(f"{name} is not one of {', '.join(NETS)}")
    if options.what == "maps":
        maps(options.scenes, options.engine)
    else:
        speed(options.models, options.engine)


if __name__ == "__main__":
    main()
