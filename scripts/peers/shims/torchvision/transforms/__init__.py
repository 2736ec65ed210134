from torchvision import NotHere


def __getattr__(name: str) -> NotHere:
    if name.startswith("__"):
        raise AttributeError(name)
    return NotHere(f"{__name__}.{name}")
