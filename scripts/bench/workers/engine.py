"""A plain forward in a serving engine, in float32: what people run who leave PyTorch for serving. No gradient, no map.

    python3 scripts/bench/workers/engine.py openvino|onnxruntime '{"onnx": ..., "size": ..., ...}'

Requests: see worker.mjs. Neither PyTorch nor its OpenMP is loaded into the process.
"""

import json
import sys
import time
from typing import Callable

from answers import answer, peak_rss

import numpy as np

Forward = Callable[[np.ndarray], np.ndarray]


def openvino(job: dict, batch: int) -> Forward:
    """Compiled for this batch alone, as its manual advises where latency counts."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(job["onnx"])
    model.reshape([batch, 3, job["size"], job["size"]])
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": job["threads"],
        # Else it takes bfloat16 by itself where the processor has it.
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(model, "CPU", settings)
    request = compiled.create_infer_request()
    return lambda x: request.infer({0: x}, share_inputs=True)[compiled.output(0)]


def onnxruntime(job: dict, _batch: int) -> Forward:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = job["threads"]
    session = ort.InferenceSession(job["onnx"], options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


class Worker:
    def __init__(self, make: Callable[[dict, int], Forward], job: dict) -> None:
        self.make, self.job = make, job
        shape = (job["images"], 3, job["size"], job["size"])
        self.images = np.fromfile(job["input"], dtype="<f4").reshape(shape)
        self.batch = 0

    def timed(self, batch: int):
        if batch != self.batch:
            self.forward, self.input, self.batch = self.make(self.job, batch), self.images[:batch].copy(), batch
        start = time.perf_counter()
        logits = self.forward(self.input)
        return (time.perf_counter() - start) * 1000, logits

    def run(self, batch: str) -> dict:
        return {"ms": self.timed(int(batch))[0]}

    def result(self, batch: str, _file: str) -> dict:
        _, logits = self.timed(int(batch))
        return {"shape": None, "scores": np.asarray(logits)[:, self.job["target"]].tolist()}

    def memory(self) -> dict:
        return {"peakRss": peak_rss(), "peakDevice": None}


if __name__ == "__main__":
    worker = Worker({"openvino": openvino, "onnxruntime": onnxruntime}[sys.argv[1]], json.loads(sys.argv[2]))
    answer({"run": worker.run, "result": worker.result, "memory": worker.memory})
