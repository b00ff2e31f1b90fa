"""The CAM methods, each beside its equation. They know arrays only: no model, no file, no option."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Cam(NamedTuple):
    """A class activation map before enlarging.

    Attributes:
        alpha: (k,) float32, the weight of each channel.
        L: (u, v) float32, not negative.
    """

    alpha: np.ndarray
    L: np.ndarray


def gradcam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Grad-CAM.

        alpha_k^c = 1/Z sum_ij dy_c / dA_ij^k          (equation 1)
        L^c       = relu(sum_k alpha_k^c A^k)          (equation 2)

    Args:
        A: (u, v, k), activations of the chosen layer.
        dA: (u, v, k), dy_c/dA, the gradient of the class score with respect to them.

    Source:
        Selvaraju et al. 2017, Grad-CAM, section 3.
    """
    alpha = dA.mean(axis=(0, 1), dtype=np.float32)  # (k,)
    L = np.maximum(A @ alpha, 0)  # (u, v)
    return Cam(alpha, L)


METHODS = {"gradcam": gradcam}


def why_zero(A: np.ndarray, dA: np.ndarray, cam: Cam) -> str | None:
    """Say why a map is zero everywhere, or return None if it is not."""
    if cam.L.any():
        return None
    if not A.any():
        return "dead activations: the layer answers this image with zeros only"
    if not dA.any():
        return "no gradient: the class score does not depend on this layer for this image"
    if (cam.alpha <= 0).all():
        return "all weights negative: every channel of the layer speaks against the class"
    return "the weighted sum of the channels is negative everywhere"
