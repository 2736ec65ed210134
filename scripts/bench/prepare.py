"""Writes what all contestants of the benchmark share.

    python3 scripts/bench/prepare.py OUT --size 224 --images 32 MODEL ...

OUT/MODEL.pt (TorchScript), OUT/MODEL.state.pt (the same weights for eager models), OUT/input.bin (float32
[images, 3, size, size]), OUT/one-convolution.pt, OUT/index.json (torch's folder and version; layers, target).
"""

import argparse
import ctypes
import json
from pathlib import Path

import torch

from nets import NETS, OneConvolution, eager, scripted


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--images", type=int, default=32)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    torch.manual_seed(1)
    images = torch.randn(options.images, 3, options.size, options.size)
    # Without NumPy, which a plain PyTorch does not bring.
    (options.out / "input.bin").write_bytes(ctypes.string_at(images.data_ptr(), 4 * images.numel()))
    torch.manual_seed(1)
    torch.jit.script(OneConvolution().eval()).save(str(options.out / "one-convolution.pt"))

    index = {"torch": str(Path(torch.__file__).resolve().parent), "version": torch.__version__, "models": {}}
    for name in options.models:
        model = eager(name)
        file = scripted(name)
        with torch.no_grad():
            if not torch.allclose(model(images[:1]), file(images[:1]), rtol=1e-4, atol=1e-4):
                raise SystemExit(f"{name}: the eager model and the TorchScript file are not the same function")
        file.save(str(options.out / f"{name}.pt"))
        torch.save(model.state_dict(), options.out / f"{name}.state.pt")
        index["models"][name] = {"layers": NETS[name].layers, "target": NETS[name].target}
    (options.out / "index.json").write_text(json.dumps(index))


if __name__ == "__main__":
    main()
