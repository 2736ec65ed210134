#!/usr/bin/env python3
"""Writes the real densenet121 as TorchScript, scripted and traced.

    python3 scripts/samples/export-densenet121.py --out DIR                     ImageNet weights, by torchvision
    python3 scripts/samples/export-densenet121.py --out DIR --state-dict FILE   weights from a state_dict on disk
    python3 scripts/samples/export-densenet121.py --out DIR --random            seeded random weights; needs torch alone
"""

import argparse
import os
import sys
from pathlib import Path

try:
    import torch
except ImportError as reason:
    sys.exit(f"export-densenet121: PyTorch cannot be imported ({reason}). Install it: python3 -m pip install torch")

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from models.densenet import DenseNet, densenet121, rename_old_keys
from models.seeded import seeded


class CannotExport(Exception):
    """Says what is wrong and what to do."""


def from_torchvision() -> DenseNet:
    remedy = "give --state-dict FILE (torchvision's densenet121 weights, downloaded by hand) or --random"
    try:
        from torchvision.models import DenseNet121_Weights
        from torchvision.models import densenet121 as torchvision_densenet121
    except Exception as reason:  # a torchvision built for another torch fails with whatever it trips over first
        raise CannotExport(
            f"torchvision cannot be imported ({reason}). Install the one that matches torch {torch.__version__} "
            f"(python3 -m pip install torchvision), or {remedy}."
        ) from reason
    try:
        original = torchvision_densenet121(weights=DenseNet121_Weights.IMAGENET1K_V1)
    except Exception as reason:  # no network, a proxy's answer, a full disk, a damaged file
        raise CannotExport(f"torchvision could not get the ImageNet weights ({reason}): {remedy}.") from reason
    model = densenet121()
    model.load_state_dict(original.state_dict())
    return model.eval()


def from_state_dict(path: Path) -> DenseNet:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # Sized from the file, so that a fine-tuned model with its own number of classes works as well.
        model = densenet121(num_classes=state["classifier.weight"].shape[0])
        model.load_state_dict(rename_old_keys(state))
    except OSError as reason:
        raise CannotExport(f"{path} cannot be read ({reason.strerror or reason}).") from reason
    except Exception as reason:
        what = f"{type(reason).__name__}: {reason}".splitlines()[0]
        raise CannotExport(f"{path} is not a state_dict of densenet121 ({what}).") from reason
    return model.eval()


def save(module: torch.jit.ScriptModule, path: Path) -> None:
    """Through a file beside it, so that an interrupted export leaves nothing that passes for a model."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            torch.jit.save(module, str(partial))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
    except (OSError, RuntimeError) as reason:
        raise CannotExport(f"{path} cannot be written ({reason}).") from reason
    print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


def export(options: argparse.Namespace) -> None:
    if options.random:
        model = seeded(densenet121, options.seed)
    elif options.state_dict:
        model = from_state_dict(options.state_dict)
    else:
        model = from_torchvision()
    both = options.scripted == options.traced
    if both or options.scripted:
        save(torch.jit.script(model), options.out / "densenet121-scripted.pt")
    if both or options.traced:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            example = torch.rand(1, 3, options.size, options.size)
        save(torch.jit.trace(model, example), options.out / "densenet121-traced.pt")


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Writes densenet121 as TorchScript: DIR/densenet121-scripted.pt and DIR/densenet121-traced.pt."
    )
    parser.add_argument("--out", type=Path, default=Path("."), metavar="DIR", help="where to write (default: here)")
    parser.add_argument("--scripted", action="store_true", help="write the scripted file only")
    parser.add_argument("--traced", action="store_true", help="write the traced file only")
    parser.add_argument("--size", type=int, default=224, help="width and height to trace with (default: 224)")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--random", action="store_true", help="seeded random weights instead of ImageNet's")
    source.add_argument("--state-dict", type=Path, metavar="FILE", help="a state_dict of torchvision's densenet121")
    parser.add_argument("--seed", type=int, default=0, help="seed of --random (default: 0)")
    try:
        export(parser.parse_args())
    except CannotExport as reason:
        print(f"export-densenet121: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
