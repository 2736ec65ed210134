"""A contestant in Python: reads requests from stdin, one a line, and answers each with one line of JSON.

    python3 scripts/bench/workers/eager.py METHODS '{"model": ..., "workload": ..., ...}'

METHODS is the module in this folder that implements it (see reference_document.py). Requests: see worker.mjs.
"""

import importlib
import json
import sys
import time
import warnings
from pathlib import Path

from answers import answer, peak_rss  # first: it keeps what is imported from printing between the answers

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from nets import NETS

warnings.filterwarnings("ignore")


class Worker:
    def __init__(self, methods: str, job: dict) -> None:
        torch.set_num_threads(job["threads"])
        self.job = job
        self.device = torch.device(job["device"])
        # Not `eager`: making random weights only to replace them would be charged to the cold start.
        with torch.device("meta"):
            model = NETS[job["model"]].make()
        model.load_state_dict(torch.load(job["state"], map_location=self.device, weights_only=True), assign=True)
        model.eval()
        size = job["size"]
        self.images = torch.from_file(job["input"], size=job["images"] * 3 * size * size, dtype=torch.float32)
        self.images = self.images.view(-1, 3, size, size)
        self.inputs = {}
        module = importlib.import_module(methods)
        make = module.maker(job) if hasattr(module, "maker") else getattr(module, job["method"])
        self.explain = make(model, job["layer"], job["target"])

    def input(self, batch: int) -> torch.Tensor:
        if batch not in self.inputs:
            self.inputs = {batch: self.images[:batch].clone().to(self.device)}
        return self.inputs[batch]

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def timed(self, batch: int):
        x = self.input(batch)
        self.synchronise()
        start = time.perf_counter()
        result, scores = self.explain(x)
        if self.device.type != "cpu" and isinstance(result, torch.Tensor):
            result = result.cpu()
        return (time.perf_counter() - start) * 1000, result, scores

    def run(self, batch: str) -> dict:
        return {"ms": self.timed(int(batch))[0]}

    def result(self, batch: str, file: str) -> dict:
        _, result, scores = self.timed(int(batch))
        values = torch.as_tensor(result).detach().cpu().float().contiguous()
        values.numpy().astype("<f4").tofile(file)
        return {"shape": list(values.shape), "scores": None if scores is None else scores.detach().cpu().tolist()}

    def memory(self) -> dict:
        device = torch.cuda.max_memory_allocated(self.device) if self.device.type == "cuda" else None
        return {"peakRss": peak_rss(), "peakDevice": device}


def main() -> None:
    worker = Worker(sys.argv[1], json.loads(sys.argv[2]))
    answer({"run": worker.run, "result": worker.result, "memory": worker.memory})


if __name__ == "__main__":
    main()
