"""In which arithmetic the models of the tests compute: their own, or float64 on the same numbers."""

import contextlib

_float64 = False


@contextlib.contextmanager
def in_float64():
    """Models and inputs of float32 are made as ever, from the same random numbers, and then taken to float64."""
    global _float64
    _float64 = True
    try:
        yield
    finally:
        _float64 = False


def is_float64():
    return _float64
