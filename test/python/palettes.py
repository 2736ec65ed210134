"""The colour maps of the pages as matplotlib has them.

    python3 test/python/palettes.py NAME...

Prints JSON: {NAME: [[red, green, blue], ...]}, 256 colours in [0, 1]. Needs the packages of requirements.txt, not torch.
"""

import json
import sys

from matplotlib import colormaps

print(json.dumps({name: [list(colormaps[name](index)[:3]) for index in range(256)] for name in sys.argv[1:]}))
