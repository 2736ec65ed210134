"""The models that the tests run on: how each is made from a seed, what it is fed, and its TorchScript files.

    python3 test/python/models.py OUT

writes the scripted and traced file of every small net, its example inputs, and files that are not TorchScript at all,
with OUT/index.json to say what is what.
"""

import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable

import torch
import torch.nn.functional as F
from torch import nn

import bad_files
import detectors
import fused_nets
import nets
import random_nets
import relevance_nets
import rescale_nets
import split_nets
import structured_nets
import token_nets
import wide_nets
from arithmetic import is_float64
from tensors import Store, drawn, seeded

sys.path.append(str(Path(__file__).parents[2] / "scripts" / "models"))
from densenet import densenet121  # noqa: E402
from resnet import resnet18  # noqa: E402
from vgg import vgg11  # noqa: E402


@dataclass
class Entry:
    build: Callable[[], nn.Module]
    size: tuple = (2, 3, 16, 20)
    dtype: torch.dtype = torch.float32
    scripted: bool = True
    traced: bool = True
    small: bool = True


MODELS = {
    "densenet121": Entry(densenet121, size=(2, 3, 224, 224), small=False),
    "resnet18": Entry(lambda: resnet18(num_classes=20), size=(3, 3, 96, 128), small=False),
    # The real one's classifier has 120 million parameters, which would say nothing more.
    "vgg11": Entry(lambda: vgg11(num_classes=20, hidden=64), size=(3, 3, 96, 128), small=False),
    "resnet18_double": Entry(lambda: resnet18(num_classes=20), dtype=torch.float64, small=False),
    "densenet121_double": Entry(densenet121, dtype=torch.float64, small=False),
    "vgg11_double": Entry(lambda: vgg11(num_classes=20, hidden=64), dtype=torch.float64, small=False),
    "vit": Entry(token_nets.TinyVit, size=(3, 3, 32, 48)),
    "channels_last": Entry(token_nets.ChannelsLast, size=(3, 3, 32, 48)),
    "plain": Entry(nets.Plain),
    "plain_double": Entry(nets.Plain, dtype=torch.float64),
    "curved": Entry(nets.Curved, size=(3, 3, 16, 20), dtype=torch.float64),
    "pooled_linear": Entry(nets.PooledLinear, size=(3, 3, 16, 20), dtype=torch.float64),
    "in_place_relu_after": Entry(nets.InPlaceReluAfter),
    "every_kind_of_relu": Entry(nets.EveryKindOfRelu),
    "functional_relu_only": Entry(nets.FunctionalReluOnly),
    "relu6": Entry(nets.Relu6),
    "shared_gradients": Entry(nets.SharedGradients),
    "one_dimension": Entry(nets.OneDimension, size=(2, 3, 40)),
    "three_dimensions": Entry(nets.ThreeDimensions, size=(2, 1, 6, 8, 10)),
    "in_place_on_input": Entry(nets.InPlaceOnInput),
    "relu_free": Entry(nets.ReluFree),
    "called_twice": Entry(nets.CalledTwice),
    "siblings": Entry(nets.Siblings),
    "regression_column": Entry(nets.RegressionColumn),
    "regression_flat": Entry(nets.RegressionFlat),
    "segmentation": Entry(nets.Segmentation),
    "tuple_output": Entry(structured_nets.TupleOutput),
    "list_output": Entry(structured_nets.ListOutput),
    "dict_output": Entry(structured_nets.DictOutput),
    "named_tuple_output": Entry(structured_nets.NamedTupleOutput),
    "nested_output": Entry(structured_nets.NestedOutput, traced=False),
    "multi_input": Entry(structured_nets.MultiInput, traced=False),
    "inner_structures": Entry(structured_nets.InnerStructures),
    "control_flow": Entry(structured_nets.ControlFlow, traced=False),
    "dense": Entry(split_nets.Dense),
    "residual": Entry(split_nets.Residual),
    "viewed": Entry(split_nets.Viewed),
    "branches": Entry(split_nets.Branches),
    "two_ways": Entry(split_nets.TwoWays),
    "wide": Entry(split_nets.Wide),
    "dense_double": Entry(split_nets.Dense, dtype=torch.float64),
    "residual_double": Entry(split_nets.Residual, dtype=torch.float64),
    "wide_double": Entry(split_nets.Wide, dtype=torch.float64),
    "fused_dense": Entry(fused_nets.FusedDense, small=False),
    "fused_residual": Entry(fused_nets.FusedResidual, small=False),
    "fused_pre_activation": Entry(fused_nets.FusedPreActivation, small=False),
    "fused_residual_double": Entry(fused_nets.FusedResidual, dtype=torch.float64, small=False),
    "wide_kinds": Entry(wide_nets.Kinds, small=False),
    "wide_read_again": Entry(wide_nets.ReadAgain, small=False),
    "wide_squeezed": Entry(wide_nets.Squeezed, small=False),
    "wide_branched": Entry(wide_nets.Branched, small=False),
    "wide_looped": Entry(wide_nets.Looped, small=False),
    "wide_compared": Entry(wide_nets.Compared, small=False),
    "wide_two_relus": Entry(wide_nets.TwoRelus, small=False),
    "wide_normed_twice": Entry(wide_nets.NormedTwice, small=False),
    "wide_dropout_changed": Entry(wide_nets.DropoutChanged, small=False),
    "wide_read_under_other_name": Entry(wide_nets.ReadUnderOtherName, small=False),
    "wide_read_through_branch": Entry(wide_nets.ReadThroughBranch, small=False),
    "wide_cast_in_place": Entry(wide_nets.CastInPlace, small=False),
    "wide_contiguous_changed": Entry(wide_nets.ContiguousChanged, small=False),
    "wide_unused_call": Entry(wide_nets.UnusedCall, small=False),
    "wide_changed_later": Entry(wide_nets.ChangedLater, small=False),
    "wide_view_changed": Entry(wide_nets.ViewChanged, small=False),
    "wide_sampled": Entry(wide_nets.Sampled, small=False),
    "other_method": Entry(structured_nets.OtherMethod),
    "detached": Entry(structured_nets.Detached),
    "class_index": Entry(structured_nets.ClassIndex),
    # Asked for by name alone, of programs about detectors, DeepLIFT and relevance.
    "list_detector": Entry(detectors.ListDetector, size=(3, 3, 16, 20), traced=False, small=False),
    "dict_detector": Entry(detectors.DictDetector, size=(3, 3, 16, 20), small=False),
    "tuple_detector": Entry(detectors.TupleDetector, size=(3, 3, 16, 20), small=False),
    "rescale_chain": Entry(rescale_nets.Chain, size=(3, 2, 9, 8), dtype=torch.float64, small=False),
    "captums_rules": Entry(rescale_nets.CaptumsRules, size=(3, 3, 16, 20), dtype=torch.float64, small=False),
    "captums_rules_functions": Entry(rescale_nets.Functions, size=(3, 3, 16, 20), dtype=torch.float64, small=False),
    "rescale_pools": Entry(rescale_nets.Pools, size=(3, 3, 16, 20), dtype=torch.float64, small=False),
    "rescale_branch": Entry(rescale_nets.Branch, dtype=torch.float64, traced=False, small=False),
    **{name: Entry(net, dtype=torch.float64, small=False) for name, net in rescale_nets.REFUSED.items()},
    **{name: Entry(net, dtype=torch.float64, small=False) for name, net in relevance_nets.NETS.items()},
    "relevance_single": Entry(relevance_nets.Residual, small=False),
    **{f"random_{seed}": Entry(partial(random_nets.build, seed), small=False) for seed in range(random_nets.COUNT)},
}


def build(name, seed):
    """The model in eval mode. Its batch norms are given statistics and scales: fresh ones would be the identity."""
    torch.manual_seed(seed)
    model = MODELS[name].build().to(MODELS[name].dtype).eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                if module.affine:
                    module.weight.uniform_(0.5, 1.5)
                    module.bias.normal_(0, 0.1)
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model.double() if is_float64() else model


def example(name, seed, size=None):
    """Coarse blobs under fine noise: pure noise looks the same everywhere, to which any map is a good answer.

    With a list of seeds, an image of each: ones on which no gate is undecided, see find_decided.py.
    """
    entry = MODELS[name]
    if isinstance(seed, list):
        return torch.cat([example(name, own, (1, *(size or entry.size)[1:])) for own in seed])
    if len(entry.size) != 4:
        return seeded(entry.size, seed, entry.dtype)
    images, channels, height, width = size or entry.size
    blobs = drawn((images, channels, 4, 5), seed, entry.dtype)
    noise = drawn((images, channels, height, width), seed + 1, entry.dtype)
    x = F.interpolate(blobs, (height, width), mode="bicubic") * 2 + noise / 2
    return x.double() if is_float64() else x


def script(model):
    return torch.jit.script(model)


def trace(model, x):
    # The structures that tuple_output and its like return are allowed only where strict is off.
    return torch.jit.trace(model, x.clone(), check_trace=False, strict=False)


def write_torchscript(name, model, x, folder):
    """Writes NAME.scripted.pt and NAME.traced.pt, as far as the model can be either, and returns their names."""
    files = {}
    if is_float64():
        return files  # those of the model as it is are what the tests load
    if MODELS[name].scripted:
        files["scripted"] = f"{name}.scripted.pt"
        script(model).save(str(Path(folder) / files["scripted"]))
    if MODELS[name].traced:
        files["traced"] = f"{name}.traced.pt"
        trace(model, x).save(str(Path(folder) / files["traced"]))
    return files


class Arithmetic(nn.Module):
    """None of its operators is a layer."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3, 1, 1))

    def forward(self, x):
        return (x * self.scale).mean((2, 3))


def write_variants(folder):
    """The plain net in forms that a user may have exported it in."""
    folder = Path(folder)
    model = build("plain", 0)
    torch.jit.freeze(script(model)).save(str(folder / "frozen.pt"))
    torch.jit.freeze(script(Arithmetic().eval())).save(str(folder / "frozen_arithmetic.pt"))
    torch.jit.optimize_for_inference(script(model)).save(str(folder / "optimized.pt"))
    training = script(build("plain", 0))
    training.train()
    training.save(str(folder / "training_mode.pt"))
    script(build("plain", 0).bfloat16()).save(str(folder / "bfloat16.pt"))
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    script(model).save(str(folder / "no_grad_parameters.pt"))
    return {
        "frozen": "frozen.pt",
        "frozen_arithmetic": "frozen_arithmetic.pt",
        "optimized": "optimized.pt",
        "training_mode": "training_mode.pt",
        "bfloat16": "bfloat16.pt",
        "no_grad_parameters": "no_grad_parameters.pt",
    }


def main(folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(folder)
    index = {"torch": torch.__version__, "models": {}}
    for name, entry in MODELS.items():
        if not entry.small:
            continue
        model, x = build(name, 0), example(name, 1)
        with torch.no_grad():
            output = model(x.clone())
        index["models"][name] = {
            "files": write_torchscript(name, model, x, folder),
            "modules": [path for path, _ in model.named_modules()],
            "input": store(x),
            "output": store(output) if isinstance(output, torch.Tensor) else None,
        }
    index["variants"] = write_variants(folder)
    index["bad"] = bad_files.write(folder / "bad", build("plain", 0), example("plain", 1))
    (folder / "index.json").write_text(json.dumps(index, indent=1))


if __name__ == "__main__":
    main(sys.argv[1])
