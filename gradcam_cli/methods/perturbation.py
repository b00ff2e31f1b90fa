"""Perturbation methods with their equations: Score-CAM, Ablation-CAM, Recipro-CAM and occlusion.

They are functions of NumPy arrays and a `Scorer`, and do not import TensorFlow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from gradcam_cli.methods.cam import Cam, spatial_axes, weighted_sum
from gradcam_cli.methods.maps import upsample
from gradcam_cli.methods.scorer import AttributionInputs, Scorer

MASK_CHUNK, ABLATION_CHUNK = 64, 128
"""Number of perturbed inputs, and of perturbed activations, in memory at once."""

OCCLUSION_PATCHES = 7
"""Occlusion: patches along the input's shorter side; the stride is half a patch."""


def scorecam(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Score-CAM: each channel is used as an input mask and weighted by the resulting score.

        H_k     = s(Up(A_k)),  s(M) = (M - min M) / (max M - min M)
        C_k     = f_c(X * H_k) - f_c(0)
        alpha_k = exp(C_k) / sum_k exp(C_k)
        L^c     = relu(sum_k alpha_k A_k)

    Masks are upsampled like maps, with half-pixel centers; some implementations align corners. A
    constant channel masks the whole input, so C_k = 0. With `max_channels`, all other channels get
    alpha_k = 0.

    Source:
        Wang et al. 2020, Score-CAM, section 3 and algorithm 1.
    """
    places = spatial_axes(inputs.A)
    selected = np.argsort(-inputs.A.std(axis=places), kind="stable")[: inputs.max_channels]
    zero_score = scorer.scores(np.zeros_like(inputs.x)[None])[0, inputs.class_index]
    C = np.full(inputs.A.shape[-1], -np.inf)
    C[selected] = 0
    for chunk in _chunks(selected[np.ptp(inputs.A, axis=places)[selected] > 0]):
        masked = np.stack([inputs.x * _channel_mask(inputs.A[..., k], inputs.x.shape[:-1]) for k in chunk])
        C[chunk] = scorer.scores(masked)[:, inputs.class_index] - zero_score
    weights = np.exp(C - C.max())
    return weighted_sum(inputs.A, weights / weights.sum())


def _channel_mask(A_k: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return H_k, (h, w, 1) in 0..1, of a channel (u, v) that is not constant."""
    mask = upsample(A_k - A_k.min(), shape)[..., None]
    return np.asarray((mask - mask.min()) / (mask.max() - mask.min()))


def ablationcam(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Ablation-CAM: each channel is weighted by the relative drop of the score without it.

        alpha_k = (y_c - y_c^k) / y_c,  y_c^k the score with A_k set to zero
        L^c     = relu(sum_k alpha_k A_k)

    Only the layers downstream are computed. A zero channel has alpha_k = 0 and is skipped.

    Source:
        Desai and Ramaswamy 2020, Ablation-CAM, section 3.
    """
    active = np.flatnonzero(inputs.A.any(axis=spatial_axes(inputs.A)))
    alpha = np.zeros(inputs.A.shape[-1])
    y_c = scorer.scores_from_layer(inputs.x, inputs.A[None])[0, inputs.class_index]
    for chunk in _chunks(active, ABLATION_CHUNK):
        ablated = np.repeat(inputs.A[None], len(chunk), axis=0)
        ablated[np.arange(len(chunk)), ..., chunk] = 0
        alpha[chunk] = (y_c - scorer.scores_from_layer(inputs.x, ablated)[:, inputs.class_index]) / y_c
    return weighted_sum(inputs.A, alpha)


def reciprocam(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Recipro-CAM: each cell has the score that the network computes from this cell of the layer alone.

        y_c^ij = y_c from M^ij * A,  the mask M^ij is one in cell (i, j) and zero in all others
        L_ij   = y_c^ij - min y_c^ij

    Only the layers downstream are computed, once for each of the u v cells, without gradients. The paper's score is the
    probability (`--score probability`). Its variant whose masks are a Gaussian of 3x3 cells is not implemented.

    Source:
        Byun and Lee 2022, Recipro-CAM, section 3; the authors' program masks single cells.
    """
    matrix = inputs.A.reshape(-1, inputs.A.shape[-1])  # (u v, k)
    y_c = np.empty(len(matrix), np.float32)
    for cells in _chunks(np.arange(len(matrix)), ABLATION_CHUNK):
        masked = np.zeros((len(cells), *matrix.shape), matrix.dtype)
        masked[np.arange(len(cells)), cells] = matrix[cells]
        y_c[cells] = scorer.scores_from_layer(inputs.x, masked.reshape(-1, *inputs.A.shape))[:, inputs.class_index]
    return Cam(None, (y_c - y_c.min()).reshape(inputs.A.shape[:-1]))


def occlusion(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Occlusion: the mean drop of the score over all black patches that cover a pixel.

        L = relu(mean of y_c(x) - y_c(x under the patch))

    The side of a patch is a seventh of the shorter side of the image, its stride half of that. A patch of a signal, a
    volume or a film has a seventh of each of its lengths.

    Source:
        Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2.
    """
    shape = inputs.x.shape[:-1]
    sides = [max((min(shape) if len(shape) == 2 else length) // OCCLUSION_PATCHES, 1) for length in shape]
    starts = [_patch_offsets(length, side) for length, side in zip(shape, sides, strict=True)]
    offsets = np.array(list(itertools.product(*starts)))
    score_drop, count = np.zeros(shape), np.zeros(shape)
    y_c = scorer.scores(inputs.x[None])[0, inputs.class_index]
    for chunk in _chunks(offsets):
        patches = [tuple(map(slice, offset, offset + sides)) for offset in chunk]
        occluded = np.repeat(inputs.x[None], len(chunk), axis=0)
        for x, patch in zip(occluded, patches, strict=True):
            x[patch] = inputs.baseline[patch]
        for y, patch in zip(scorer.scores(occluded)[:, inputs.class_index], patches, strict=True):
            score_drop[patch] += y_c - y
            count[patch] += 1
    return Cam(None, (score_drop / count).astype(np.float32))


def _patch_offsets(length: int, side: int) -> list[int]:
    """Return the offsets of patches along a dimension: every half patch, the last one at the border."""
    return sorted({*range(0, length - side + 1, max(side // 2, 1)), length - side})


def _chunks(items: np.ndarray, size: int = MASK_CHUNK) -> Iterator[np.ndarray]:
    """Yield slices of at most `size` items."""
    yield from (items[start : start + size] for start in range(0, len(items), size))
