"""FullGrad: the class score as a sum of parts that belong to the pixels and to the biases of all layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.methods.cam import Cam
from gradcam_cli.methods.maps import paste_into_image, upsample
from gradcam_cli.methods.scorer import AttributionInputs, Scorer


class BiasGradient(NamedTuple):
    """The part of the score that belongs to the biases of one operation.

    Attributes:
        name: name of the operation in the traced graph.
        values: b * dy_c/dz, (u, v, k), with z the output to which the bias b is added; without places of any shape.
        box: the part of the model input that the cells cover, or None for values without places.
    """

    name: str
    values: np.ndarray
    box: Box | None


class FullGradients(NamedTuple):
    """The full-gradient decomposition of a score: y_c is the sum of all values.

    Attributes:
        y_c: the score.
        input: (h, w, c), x * dy_c/dx.
        biases: one entry for each operation with a bias.
    """

    y_c: float
    input: np.ndarray
    biases: Sequence[BiasGradient]

    @property
    def parts(self) -> list[np.ndarray]:
        """All arrays whose values sum to y_c."""
        return [self.input, *(bias.values for bias in self.biases)]


def fullgrad(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """FullGrad: the gradient times the input, and the gradients times the biases of all layers with places.

        y_c = sum x * dy_c/dx + sum_l sum b_l * dy_c/dz_l
        L   = psi(x * dy_c/dx) + sum_l psi(b_l * dy_c/dz_l)
        psi = sum over channels of Up(rescale(|.|)),  rescale(a) = (a - min a) / (max a - min a), over all of a layer

    The first line is exact for networks of ReLUs. Batch normalization has the bias beta - gamma mean / sqrt(var + eps).
    An elementwise activation s = f(z) that is not piecewise linear through zero has the implicit bias f(z) - z f'(z).
    Biases of dense layers have no places: they are in the first line, not in the map. Up has half-pixel centers; the
    authors' program aligns corners, and adds 1e-6 to the denominator.

    Source:
        Srinivas and Fleuret 2019, Full-Gradient Representation for Neural Network Visualization.
    """
    found = scorer.full_gradients(inputs.x, inputs.class_index)
    L = _rescale(found.input).sum(axis=-1)
    for _, values, box in found.biases:
        if box is not None:
            upsampled = upsample(_rescale(values).sum(axis=-1), box.shape)
            L += paste_into_image(upsampled, box, inputs.x.shape[:-1])
    return Cam(None, L)


def _rescale(values: np.ndarray) -> np.ndarray:
    """Return |values| from 0 to 1 over all of them; zeros if they are constant."""
    a: np.ndarray = np.abs(values)
    a -= a.min()
    return np.divide(a, a.max(), out=a) if a.any() else a
