"""The service that scripts/bench/serve.mjs measures beside `gradcam serve`: FastAPI and Captum, one image at a time.

    python3 scripts/bench/workers/captum_service.py samples/animals-densenet.pt PORT

What one writes with these libraries: the endpoint runs on FastAPI's pool of threads, and a lock is held while Captum's hooks are
in the model, which is shared.
"""

import io
import sys
import threading
from pathlib import Path

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
import peers
from models.densenet import DenseNet

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def sample_densenet(file: str) -> DenseNet:
    # scripts/samples/train-sample-model.py
    model = DenseNet(growth_rate=16, block_config=(3, 6, 8), num_init_features=16, bn_size=2, num_classes=8)
    model.load_state_dict(torch.jit.load(file).state_dict())
    return model.eval().requires_grad_(False)


model = sample_densenet(sys.argv[1])
captum = peers.captum_attr().LayerGradCam(model, model.features)
lock = threading.Lock()
app = FastAPI()


def explain(data: bytes) -> dict:
    image = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
    x = ((x - MEAN) / STD).unsqueeze(0).requires_grad_()
    with lock:
        logits = model(x)
        target = int(logits.argmax())
        found = captum.attribute(x, target=target, relu_attributions=True)
    values = found.detach().flatten().tolist()
    return {"maps": [{"class": target, "score": logits[0, target].item(), "values": values}]}


@app.post("/v1/explain")
async def endpoint(request: Request) -> dict:
    return await run_in_threadpool(explain, await request.body())


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning", access_log=False)
