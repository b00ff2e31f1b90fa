"""Methods for transformers that use the attention maps between all tokens: attention rollout and LeGrad.

A^l is (heads, tokens, tokens), the attention map of layer l, whose row i has the weights with which token i attends to
all tokens. The map has a cell for each token that is a patch of the image; class and register tokens have none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.scorer import AttributionInputs


class AttentionMaps(NamedTuple):
    """Arrays of the form of the attention maps of an image.

    Attributes:
        layers: (heads, tokens, tokens) for each layer, the first one first.
        pooled: (tokens,) bool, the tokens from which the class score is computed: the class token, or all tokens with
            mean pooling.
        cells: (u, v), the index of the token of each cell.
    """

    layers: Sequence[np.ndarray]
    pooled: np.ndarray
    cells: np.ndarray


class AttentionScorer(Protocol):
    """Computes the attention maps of a transformer and their gradients."""

    def attention_maps(self, x: np.ndarray) -> AttentionMaps:
        """Return A^l of an input (h, w, c)."""

    def attention_gradients(self, x: np.ndarray, c: int) -> AttentionMaps:
        """Return ds^l_c/dA^l of an input (h, w, c), with s^l_c as in `legrad`."""


def rollout(scorer: AttentionScorer, inputs: AttributionInputs) -> Cam:
    """Attention rollout: the attention of all layers, multiplied; it is class-agnostic.

        A_hat^l = 0.5 mean over heads of A^l + 0.5 I, rows divided by their sums
        R       = A_hat^L ... A_hat^2 A_hat^1
        L       = mean of the rows of R of the pooled tokens, at the patches

    I stands for the residual connections. With a class token, L is the row of the class token.

    Source:
        Abnar and Zuidema 2020, Quantifying Attention Flow in Transformers, section 3.
    """
    found = scorer.attention_maps(inputs.x)
    identity = np.eye(len(found.pooled), dtype=np.float32)
    R = identity
    for A in found.layers:
        A_hat = 0.5 * A.mean(axis=0) + 0.5 * identity
        R = A_hat / A_hat.sum(axis=1, keepdims=True) @ R
    return Cam(None, R[found.pooled].mean(axis=0)[found.cells])


def legrad(scorer: AttentionScorer, inputs: AttributionInputs) -> Cam:
    """LeGrad: the positive gradients of the attention maps, each with respect to the score of its own layer.

        s^l_c = y_c computed from the tokens Z^l after layer l instead of the last ones, Z^L
        E^l   = mean over heads and query tokens i of relu(ds^l_c / dA^l_i)
        L     = 1/N sum_l E^l at the patches, minus its minimum

    All N layers are used. What follows Z^L in the model, with its pooling, computes s^l_c; so s^L_c is y_c. The program
    the authors published pools the tokens by their mean, also in models with a class token, and uses the last layers.

    Source:
        Bousselham et al. 2025, LeGrad: An Explainability Method for Vision Transformers via Feature Formation
        Sensitivity, section 3.
    """
    found = scorer.attention_gradients(inputs.x, inputs.class_index)
    E = np.mean([np.maximum(dA, 0).mean(axis=(0, 1)) for dA in found.layers], axis=0)[found.cells]
    return Cam(None, E - E.min())
