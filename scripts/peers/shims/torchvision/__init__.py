"""Stands in for torchvision where none imports beside this torch; see peers.py.

pytorch-grad-cam imports names from torchvision when it is imported, but its CAM methods compute nothing with them: they
belong to helpers that turn images into tensors and to detection targets. Whatever is taken from here fails when it is
used, so that a value can never come from here unnoticed.
"""


class NotHere:
    """Fails when called or looked into, with the name that was asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _fail(self) -> None:
        raise ImportError(f"torchvision is not installed (or does not import beside this torch), and {self._name} is needed")

    def __call__(self, *args: object, **kwargs: object) -> None:
        self._fail()

    def __getattr__(self, attribute: str) -> None:
        self._fail()


def __getattr__(name: str) -> NotHere:
    if name.startswith("__"):
        raise AttributeError(name)
    return NotHere(f"{__name__}.{name}")
