"""What pytorch-grad-cam makes of a model by running it again: Score-CAM and Ablation-CAM.

    python3 test/python/peer_reruns.py JOB.json OUT

JOB.json: {"models": {NAME: {"input_seed", "size", "classes", "layer_sets", "methods", "reshape", "large",
"batch_sizes"}}}. As peer_maps.py, with targets of a class alone for `large` ones, and for each of the batch sizes
Ablation-CAM with it.
"""

import models
from job import answer
from peer_maps import pgc, reshape_of, run
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget
from reference import stored

METHODS = {"scorecam": pgc.ScoreCAM, "ablationcam": pgc.AblationCAM}


def cases_of(job, model, layers, x, classes):
    reshape = reshape_of(job.get("reshape"))
    targets = [ClassifierOutputTarget(c) for c in classes]
    probabilities = [ClassifierOutputSoftmaxTarget(c) for c in classes]
    cases = {}
    for name in job["methods"]:
        cases[name], _ = run(METHODS[name], model, layers, x, targets, reshape)
        if job.get("large"):
            continue
        cases[f"probability:{name}"], _ = run(METHODS[name], model, layers, x, probabilities, reshape)
        cases[f"argmax:{name}"], _ = run(METHODS[name], model, layers, x, None, reshape)
    for size in job.get("batch_sizes", []):
        sized = lambda *arguments, size=size, **options: pgc.AblationCAM(*arguments, batch_size=size, **options)
        cases[f"batch {size}"], _ = run(sized, model, layers, x, targets, reshape)
    return cases


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, job["input_seed"], job.get("size"))
    results = {}
    for images in (1, len(x)):
        for layers in job["layer_sets"]:
            cases = cases_of(job, model, layers, x[:images].clone(), job["classes"][:images])
            results[f"{images} {' '.join(layers)}"] = stored(cases, store)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": results}


if __name__ == "__main__":
    answer(run_model)
