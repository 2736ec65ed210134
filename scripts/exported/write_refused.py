"""Programs that have to be refused, as PyTorch and torchao really write them, into test/exported/files:

    python3 scripts/exported/write_refused.py OUT

OUT/refused.quantized.pt2.gz: quantized by pt2e for x86; OUT/refused.compiled.pt2.gz: compiled by AOTInductor, which needs a C++
compiler. Its machine code is cut to the first 4 kB, and is all that is changed. Needs torch, torchao and numpy.
"""

import gzip
import io
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

warnings.filterwarnings("ignore")


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5)).eval()


def quantized(x, file):
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(torch.export.export(net(), (x,)).module(), quantizer)
    prepared(x)
    torch.export.save(torch.export.export(convert_pt2e(prepared), (x,)), str(file))


def compiled(x, file):
    torch._inductor.aoti_compile_and_package(torch.export.export(net(), (x,)), package_path=str(file))
    whole = file.read_bytes()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(file, "w") as new:
        for record in old.infolist():
            data = old.read(record)
            new.writestr(record.filename, data[:4096] if record.filename.endswith((".so", ".o")) else data)


def main(out):
    x = torch.randn(1, 3, 8, 8)
    for write in (quantized, compiled):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "model.pt2"
            write(x, file)
            (out / f"refused.{write.__name__}.pt2.gz").write_bytes(gzip.compress(file.read_bytes(), mtime=0))
        print(write.__name__, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
