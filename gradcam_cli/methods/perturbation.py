"""The methods that ask a network many times about one image, each beside its equation.

They know arrays and the questions of a `Scorer`; TensorFlow stays out of here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import numpy as np

from gradcam_cli.methods.cam import Cam, weighted_sum
from gradcam_cli.methods.maps import upsample

MASK_CHUNK, ABLATION_CHUNK = 64, 128
"""How many changed inputs, and how many changed activations, are in memory at once."""

OCCLUSION_PATCHES = 7
"""Occlusion: how many patches fit along the input's shorter side; each step is half a patch."""


class Scorer(Protocol):
    """What a method may ask; answers are of the class scores y, before softmax unless asked otherwise."""

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return y, (n, classes), of inputs (n, h, w, c)."""

    def scores_from_layer(self, x: np.ndarray, A: np.ndarray) -> np.ndarray:
        """Return y, (n, classes), of one input (h, w, c) whose layer answers A, (n, u, v, k)."""

    def input_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx of inputs (n, h, w, c), of their shape."""

    def guided_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx with guided ReLUs, of the shape of x."""


class AttributionInputs(NamedTuple):
    """One image, one layer, one class.

    Attributes:
        x: (h, w, c) float32, the network's input, preprocessed.
        baseline: (h, w, c) float32, a black image, preprocessed.
        A: (u, v, k), activations of the layer.
        dA: (u, v, k), dy_c/dA.
        class_index: index of the class.
        max_channels: Score-CAM masks with no more channels than this, those of the largest deviation; None takes all.
    """

    x: np.ndarray
    baseline: np.ndarray
    A: np.ndarray
    dA: np.ndarray
    class_index: int
    max_channels: int | None = None


def scorecam(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Score-CAM: each channel, as a mask over the input, is weighed by the score that it leaves.

        H_k     = s(Up(A_k)),  s(M) = (M - min M) / (max M - min M)
        C_k     = f_c(X * H_k) - f_c(0)
        alpha_k = exp(C_k) / sum_k exp(C_k)
        L^c     = relu(sum_k alpha_k A_k)

    The masks are enlarged like maps, cell centre to cell centre; some programs align corners. A
    channel without contrast masks everything: C_k = 0, computed once for all of them. With `most`,
    only that many channels take part.

    Source:
        Wang et al. 2020, Score-CAM, section 3 and algorithm 1.
    """
    shape = (inputs.x.shape[0], inputs.x.shape[1])
    taking_part = np.argsort(-inputs.A.std(axis=(0, 1)), kind="stable")[: inputs.max_channels]
    nothing = scorer.scores(np.zeros_like(inputs.x)[None])[0, inputs.class_index]
    C = np.full(inputs.A.shape[2], -np.inf)
    C[taking_part] = 0
    for some in _chunks(taking_part[np.ptp(inputs.A, axis=(0, 1))[taking_part] > 0]):
        masked = np.stack([inputs.x * _channel_mask(inputs.A[:, :, k], shape) for k in some])
        C[some] = scorer.scores(masked)[:, inputs.class_index] - nothing
    weights = np.exp(C - C.max())
    return weighted_sum(inputs.A, weights / weights.sum())


def _channel_mask(A_k: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return H_k, (h, w, 1), of one channel (u, v) with contrast."""
    mask = upsample(A_k - A_k.min(), shape)[:, :, None]
    return np.asarray((mask - mask.min()) / (mask.max() - mask.min()))


def ablationcam(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Ablation-CAM: each channel is weighed by the share of the score that is lost without it.

        alpha_k = (y_c - y_c^k) / y_c,  y_c^k the score with A_k set to zero
        L^c     = relu(sum_k alpha_k A_k)

    Only what lies behind the layer is computed anew; channels that are zero lose nothing.

    Source:
        Desai and Ramaswamy 2020, Ablation-CAM, section 3.
    """
    lively = np.flatnonzero(inputs.A.any(axis=(0, 1)))
    alpha = np.zeros(inputs.A.shape[2])
    y_c = scorer.scores_from_layer(inputs.x, inputs.A[None])[0, inputs.class_index]
    for some in _chunks(lively, ABLATION_CHUNK):
        ablated = np.repeat(inputs.A[None], len(some), axis=0)
        ablated[np.arange(len(some)), :, :, some] = 0
        alpha[some] = (y_c - scorer.scores_from_layer(inputs.x, ablated)[:, inputs.class_index]) / y_c
    return weighted_sum(inputs.A, alpha)


def occlusion(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Occlusion: the mean loss of score over all places of a black patch that cover a pixel.

        L = relu(mean of y_c(x) - y_c(x under the patch))

    The patch is a seventh of the shorter side, its step half of that.

    Source:
        Zeiler and Fergus 2014, Visualizing and Understanding Convolutional Networks, section 4.2.
    """
    h, w, _ = inputs.x.shape
    side = max(min(h, w) // OCCLUSION_PATCHES, 1)
    places = np.array([(i, j) for i in _patch_offsets(h, side) for j in _patch_offsets(w, side)])
    lost, covered = np.zeros((h, w)), np.zeros((h, w))
    y_c = scorer.scores(inputs.x[None])[0, inputs.class_index]
    for some in _chunks(places):
        hidden = np.repeat(inputs.x[None], len(some), axis=0)
        for picture, (i, j) in zip(hidden, some, strict=True):
            picture[i : i + side, j : j + side] = inputs.baseline[i : i + side, j : j + side]
        for y, (i, j) in zip(scorer.scores(hidden)[:, inputs.class_index], some, strict=True):
            lost[i : i + side, j : j + side] += y_c - y
            covered[i : i + side, j : j + side] += 1
    return Cam(None, (lost / covered).astype(np.float32))


def _patch_offsets(length: int, side: int) -> list[int]:
    """Return where patches begin along a side: every half patch, the last one at the border."""
    return sorted({*range(0, length - side + 1, max(side // 2, 1)), length - side})


def _chunks(items: np.ndarray, size: int = MASK_CHUNK) -> Iterator[np.ndarray]:
    """Cut items so that what is made of each portion fits the memory."""
    yield from (items[start : start + size] for start in range(0, len(items), size))
