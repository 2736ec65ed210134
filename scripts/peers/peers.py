"""Makes pytorch-grad-cam, Captum and zennit importable, as test/support/peers.ts installed them.

    import peers
    grad_cam = peers.pytorch_grad_cam()      # the module pytorch_grad_cam
    attr = peers.captum_attr()               # the module captum.attr
    zennit = peers.zennit()                  # the package zennit
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

shims = Path(__file__).resolve().parent / "shims"


def use_torchvision_or_shim() -> None:
    """The installed torchvision where it imports; where there is none, or one built for another torch, the shim."""
    try:
        importlib.import_module("torchvision")
    except Exception:  # one that was built for another torch fails with whatever it trips over first
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        sys.path.insert(0, str(shims))


def pytorch_grad_cam() -> ModuleType:
    use_torchvision_or_shim()
    return importlib.import_module("pytorch_grad_cam")


def captum_attr() -> ModuleType:
    return importlib.import_module("captum.attr")


class NoSuchModule:
    """Stands for a class of torchvision that no model has an instance of."""


def zennit() -> ModuleType:
    """zennit names classes of torchvision, by which it knows modules of models that the tests have no use for."""
    use_torchvision_or_shim()
    torchvision = importlib.import_module("torchvision")
    if str(shims) in (getattr(torchvision, "__file__", None) or ""):
        torchvision.ops = SimpleNamespace(FrozenBatchNorm2d=NoSuchModule)
        resnet = ModuleType("torchvision.models.resnet")
        resnet.BasicBlock = resnet.Bottleneck = NoSuchModule
        sys.modules["torchvision.models"] = ModuleType("torchvision.models")
        sys.modules["torchvision.models.resnet"] = resnet
    return importlib.import_module("zennit")


def torch_cam_methods() -> ModuleType:
    use_torchvision_or_shim()
    return importlib.import_module("torchcam.methods")


class NotInstalled(ModuleType):
    """A module whose functions can be imported, and fail when they are called."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def fail(*_arguments, **_named):
            raise ImportError(f"{self.__name__} is not installed, and {name} is needed")

        return fail


def quantus() -> ModuleType:
    """Quantus imports pandas, of 50 MB, for tables that it is not asked for, and zennit where that is installed."""
    zennit()
    if importlib.util.find_spec("pandas") is None:
        sys.modules["pandas"] = NotInstalled("pandas")
    return importlib.import_module("quantus")


def pair_saliency() -> ModuleType:
    """PAIR's saliency imports scikit-image for methods of it that are not compared with."""
    if importlib.util.find_spec("skimage") is None:
        sys.modules["skimage"] = NotInstalled("skimage")
        for part in ("morphology", "segmentation", "transform"):
            sys.modules[f"skimage.{part}"] = NotInstalled(f"skimage.{part}")
    # NumPy renamed the argument that its guided integrated gradients are written for.
    import numpy

    quantile = numpy.quantile

    def renamed(*given, interpolation=None, **more):
        return quantile(*given, **more, **({} if interpolation is None else {"method": interpolation}))

    numpy.quantile = renamed
    return importlib.import_module("saliency.core")
