"""Writes wheels for an index of a test: `make_wheels.py FOLDER JSON`, see test/support/loopback-index.ts."""
import json
import sys
import zipfile
from pathlib import Path

folder, wheels = Path(sys.argv[1]), json.loads(sys.argv[2])

for wheel in wheels:
    stem = wheel["name"].replace("-", "_")
    info = f"{stem}-{wheel['version']}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {wheel['name']}", f"Version: {wheel['version']}"]
    metadata += [f"Provides-Extra: {extra}" for extra in wheel.get("extras", [])]
    metadata += [f"Requires-Dist: {requirement}" for requirement in wheel.get("requires", [])]
    files = dict(wheel.get("files", {}))
    files[f"{info}/METADATA"] = "\n".join(metadata) + "\n"
    files[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{stem}-{wheel['version']}-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
