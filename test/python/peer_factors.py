"""Deep feature factorization by pytorch-grad-cam, whose factors are scikit-learn's.

    python3 test/python/peer_factors.py JOB.json OUT

JOB.json: {"models": {NAME: {"layer", "size", "concepts"}}}. The peer lets its factors begin at random numbers; here they begin where
this package lets them, which is derived again below, and checked against scikit-learn's own, whose singular vectors are
approximate. All else is the peer's.
"""

import warnings

import numpy as np
import torch
from sklearn.decomposition import NMF, _nmf

import models
import peers
from job import answer
from reference import stored

peers.pytorch_grad_cam()
from pytorch_grad_cam.feature_factorization import deep_feature_factorization as peer  # noqa: E402

warnings.filterwarnings("ignore")


def beginnings(x, count):
    """NNDSVDa: the non-negative part of each pair of singular vectors that is the larger, and the mean for zeros."""
    left, values, right = np.linalg.svd(x, full_matrices=False)
    w, h = np.zeros((x.shape[0], count)), np.zeros((count, x.shape[1]))
    for j in range(count):
        pairs = []
        for sign in (1, -1):
            a, b = np.maximum(sign * left[:, j], 0), np.maximum(sign * right[j], 0)
            pairs.append((np.sqrt(a @ a) * np.sqrt(b @ b), a, b))
        product, a, b = max(pairs, key=lambda pair: pair[0])
        w[:, j] = np.sqrt(values[j] * product) * a / np.sqrt(a @ a)
        h[j] = np.sqrt(values[j] * product) * b / np.sqrt(b @ b)
    for part in (w, h):
        part[part < 1e-6] = x.mean()
    own_w, own_h = _nmf._initialize_nmf(x, count, init="nndsvda", random_state=0)
    np.testing.assert_allclose(w @ h, own_w @ own_h, atol=1e-3 * np.abs(own_w @ own_h).max())
    return w, h


class FromSingularVectors(NMF):
    def __init__(self, n_components, init, random_state):
        super().__init__(n_components=n_components, init="custom", random_state=random_state)

    def fit_transform(self, x, y=None):
        w, h = beginnings(x, self.n_components)
        return super().fit_transform(x, W=w, H=h)


peer.NMF = FromSingularVectors


def run_model(name, job, folder, store):
    model, x = models.build(name, 0), models.example(name, 1, job["size"])
    layer, kept = model.get_submodule(job["layer"]), []
    handle = layer.register_forward_hook(lambda _module, _inputs, output: kept.append(output.detach().clone()))
    with torch.no_grad():
        model(x.clone())
        handle.remove()
        concepts, maps = peer.dff(kept[0].numpy().copy(), n_components=job["concepts"])
        rows = torch.from_numpy(concepts.T.copy())
        # The layer returns one concept alone, at every position, for an image each.
        alone = rows[:, :, None, None].expand(-1, -1, *kept[0].shape[2:])
        handle = layer.register_forward_hook(lambda *_: alone.clone())
        scores = model(x[:1].expand(len(rows), -1, -1, -1).clone())
        handle.remove()
        cases = {"concepts": rows, "maps": torch.from_numpy(maps.copy()), "scores": scores}
        if hasattr(model, "head") and job["pooled"]:
            # What the peer's users give it as a computation on concepts.
            cases["by the classifier"] = model.head(rows)
    cases = stored(cases, store)
    return {"files": models.write_torchscript(name, model, x, folder), "input": store(x), "cases": {"peer": cases}}


if __name__ == "__main__":
    answer(run_model, exactly_too=False)
