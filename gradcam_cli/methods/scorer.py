"""The interface between the methods that run the model several times per image and the model itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from gradcam_cli.methods.fullgrad import FullGradients


class Scorer(Protocol):
    """Computes class scores y of perturbed inputs; y is the logit or, on request, the probability."""

    def scores(self, x: np.ndarray) -> np.ndarray:
        """Return y, (n, classes), of inputs (n, h, w, c)."""

    def scores_from_layer(self, x: np.ndarray, A: np.ndarray) -> np.ndarray:
        """Return y, (n, classes), of one input (h, w, c) with the layer's output replaced by A, (n, u, v, k)."""

    def input_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx, (n, h, w, c), of inputs of this shape."""

    def guided_gradients(self, x: np.ndarray, c: int) -> np.ndarray:
        """Return dy_c/dx with guided ReLUs, (n, h, w, c), of inputs of this shape."""

    def full_gradients(self, x: np.ndarray, c: int) -> FullGradients:
        """Return the parts of y_c of one input (h, w, c) that belong to its values and to the biases of all layers."""


class AttributionInputs(NamedTuple):
    """One image, one layer and one class to explain.

    Attributes:
        x: (h, w, c) float32, the preprocessed model input.
        baseline: (h, w, c) float32, a preprocessed black image.
        A: (u, v, k), activations of the layer.
        dA: (u, v, k), dy_c/dA.
        class_index: index of the class.
        max_channels: Score-CAM uses only this number of channels, those of the largest standard deviation;
            None uses all.
    """

    x: np.ndarray
    baseline: np.ndarray
    A: np.ndarray
    dA: np.ndarray
    class_index: int
    max_channels: int | None = None
