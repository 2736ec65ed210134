"""What Captum's FeaturePermutation makes of permutations that this package draws.

    python3 test/python/peer_permutation.py JOB.json OUT

JOB.json: {"models": {NAME: {"classes", "size", "permutations"}}}: for each sample and each feature, in the order of their numbers, the
images that features come from. `features` are shared by all images, `own features` are of each.
"""

import warnings

import torch

import models
import peers
from job import answer
from peer_perturbations import blocks
from reference import stored

attr = peers.captum_attr()
warnings.filterwarnings("ignore")


def permuted(model, x, mask, target, permutations):
    """The mean over samples, each with a permutation for each feature."""
    full = mask.expand(len(x) if len(mask) > 1 else 1, *x.shape[1:]).contiguous()
    numbers = mask.unique().tolist()
    found = []
    for sample in permutations:

        def give(given, chosen):
            (number,) = full[chosen].unique().tolist()
            others = torch.tensor(sample[numbers.index(number)])
            return torch.where(chosen, given[others], given)

        explainer = attr.FeaturePermutation(model, give)
        found.append(explainer.attribute(x, target=target, feature_mask=full))
    return torch.stack(found).mean(0)


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job["size"])
    target = torch.tensor(job["classes"])
    features = blocks(x.shape, 5, 4)
    own = torch.cat([features.flip(3), features, features.flip(2)])
    cases = {"features": features, "own features": own}
    with torch.no_grad():
        for samples in (1, len(job["permutations"])):
            for what in ("features", "own features"):
                found = permuted(model, x, cases[what], target, job["permutations"][:samples])
                cases[f"{samples} of {what}"] = found
    return {
        "files": models.write_torchscript(name, model, x, folder),
        "input": store(x),
        "cases": {"captum": stored(cases, store)},
    }


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
