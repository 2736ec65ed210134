"""Makes pytorch-grad-cam and Captum importable, as test/support/peers.ts installed them.

    import peers
    grad_cam = peers.pytorch_grad_cam()      # the module pytorch_grad_cam
    attr = peers.captum_attr()               # the module captum.attr
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

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
