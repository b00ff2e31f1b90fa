"""RefineCAM: the product of the Grad-CAM maps of several layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.methods.cam import Cam, gradcam
from gradcam_cli.methods.maps import normalize, paste_into_image, upsample

NOTHING_IN_COMMON = "no common evidence: in each cell, the map of at least one of the layers is zero"
"""Why a product is zero everywhere."""


class LayerArrays(NamedTuple):
    """What RefineCAM uses of one layer.

    Attributes:
        A: (u, v, k), activations.
        dA: (u, v, k), dy_c/dA.
        box: the part of the model input that the cells cover.
    """

    A: np.ndarray
    dA: np.ndarray
    box: Box


def refinecam(layers: Sequence[LayerArrays], shape: tuple[int, ...]) -> Cam:
    """RefineCAM over Grad-CAM: a cell counts only where the maps of all layers are positive.

        L^l = Grad-CAM at layer l
        L   = prod_l Up(L^l / max L^l)

    Up is bilinear with half-pixel centers, to the size of the model input. The paper combines maps of any CAM method;
    its authors and other programs take Grad-CAM++. Programs that subtract the minimum of each map before they divide
    give the same result if each map has a cell that is zero.

    Args:
        layers: at least two, in any order.
        shape: (h, w) of the model input, or its other spatial shape.

    Returns:
        The map at the size of the model input, 0..1.

    Source:
        Domeniconi et al. 2026, How to Evaluate and Refine your CAM.
    """
    L = np.ones(shape, np.float32)
    for A, dA, box in layers:
        upsampled = upsample(normalize(gradcam(A, dA).map), box.shape)
        L *= paste_into_image(upsampled, box, shape)
    return Cam(None, L)
