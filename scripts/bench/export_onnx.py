"""Writes the benchmark's models as ONNX, for the serving engines, with a dynamic batch.

    python3 scripts/bench/export_onnx.py OUT --size 224 MODEL ...

OUT/MODEL.onnx, of the same weights as prepare.py's files.
"""

import argparse
import warnings
from pathlib import Path

import torch

from nets import eager


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--size", type=int, default=224)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    for name in options.models:
        # The exporter that traces: it requires no package beside PyTorch, the other one onnxscript.
        torch.onnx.export(
            eager(name),
            (torch.randn(2, 3, options.size, options.size),),
            str(options.out / f"{name}.onnx"),
            dynamo=False,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}},
        )


if __name__ == "__main__":
    main()
