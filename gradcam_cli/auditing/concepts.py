"""Concepts of a class: a non-negative factorization of the activations that raise its score, and their removal."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import UsageError

MAX_CELLS = 20_000
"""Number of cells (positions of all images) to which the factorization is fitted; it bounds its time and memory."""
MAX_ITERATIONS, TOLERANCE = 300, 1e-3


class Concepts(NamedTuple):
    """A factorization of activations A (n, u, v, k) into r concepts: alpha relu(A) ~ sum_i h_i (alpha w_i).

    Attributes:
        h: (n, u, v, r) float32, >= 0: how strongly each cell shows each concept.
        w: (r, k) float32, >= 0: the direction of each concept in A, zero in channels that do not raise the score.
    """

    h: np.ndarray
    w: np.ndarray


def factorize(A: np.ndarray, alpha: np.ndarray, rank: int, seed: int = 0) -> Concepts:
    """Factorize the activations of a class, each channel weighted by how much it raises the class score.

    It minimizes |B - h W|^2 with B = relu(alpha) relu(A) and h, W >= 0, and returns w = W / relu(alpha). Without the
    weights, frequent channels without influence on the class take up the concepts. W is fitted to at most `MAX_CELLS`
    cells that are drawn at random; h is then computed for all cells.

    Args:
        A: (n, u, v, k).
        alpha: (k,), the mean of dy_c/dA over cells and images: the weight of a channel in Grad-CAM.
        rank: the number r of concepts; there are fewer if fewer channels or cells are positive, or one is unused.
        seed: of the cells that are drawn.

    Raises:
        UsageError: scikit-learn is missing.

    Source:
        Collins et al. 2018, Deep Feature Factorization, equation 1; Fel et al. 2023, CRAFT, section 3.1.
    """
    nmf = import_nmf()
    weights = np.maximum(alpha, 0) / max(float(alpha.max()), np.finfo(np.float32).tiny)
    channels = np.flatnonzero(weights)
    cells = A.reshape(-1, A.shape[-1])

    def weighted(part: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.maximum(part[:, channels].astype(np.float32), 0) * weights[channels].astype(np.float32)
        return values

    drawn = np.random.default_rng(seed).permutation(len(cells))[:MAX_CELLS]
    fitted = weighted(cells[np.sort(drawn)])
    fitted = fitted[fitted.any(-1)]
    rank = min(rank, *fitted.shape)
    if not rank:
        return Concepts(np.zeros((*A.shape[:3], 0), np.float32), np.zeros((0, A.shape[-1]), np.float32))
    model = nmf(rank, init="nndsvda", tol=TOLERANCE, max_iter=MAX_ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns at the limit of iterations, which bounds the time
        model.fit(fitted)
        parts = [model.transform(weighted(cells[i : i + MAX_CELLS])) for i in range(0, len(cells), MAX_CELLS)]
    lengths = np.linalg.norm(model.components_, axis=1)
    h = np.concatenate(parts) * lengths
    used = (lengths > 0) & (h.max(0) > 0)
    w = np.zeros((int(used.sum()), A.shape[-1]), np.float32)
    w[:, channels] = model.components_[used] / lengths[used, None] / weights[channels]
    return Concepts(h[:, used].reshape(*A.shape[:3], -1).astype(np.float32), w)


def without_concept(A: np.ndarray, h: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Remove one concept from activations: A - min(h w, relu(A)), so that no positive value becomes negative.

    Args:
        A: (..., k).
        h: (...), how strongly each cell shows the concept.
        w: (k,), its direction.
    """
    removed: np.ndarray = A - np.minimum(h[..., None] * w, np.maximum(A, 0))
    return removed


def import_nmf() -> Callable[..., Any]:
    """Return scikit-learn's class `NMF`.

    Raises:
        UsageError: scikit-learn is missing.
    """
    try:
        from sklearn.decomposition import NMF
    except ImportError as error:
        raise UsageError(
            f"gradcam audit requires scikit-learn: {error}", "install it with: pip install 'gradcam-cli[audit]'"
        ) from error
    nmf: Callable[..., Any] = NMF
    return nmf
