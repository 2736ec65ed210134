"""Finds seeds of images on which no ReLU or max-pool of a net is undecided in float32, see gates.py.

    python3 test/python/find_decided.py NAME COUNT HEIGHT WIDTH

Prints COUNT of them, as models.example takes them. In a large net one image in some hundreds is such a one; none is to be
found for images as large as real ones.
"""

import itertools
import sys

import models
from arithmetic import in_float64
from gates import Watch


def is_decided(model, x):
    watch = Watch()
    with watch:
        model(x)
    return watch.undecided == 0


def main(name, count, height, width):
    with in_float64():
        model = models.build(name, 0)
        found = (s for s in itertools.count(1) if is_decided(model, models.example(name, [s], (1, 3, int(height), int(width)))))
        print(list(itertools.islice(found, int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
