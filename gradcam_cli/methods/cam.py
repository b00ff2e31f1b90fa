"""The CAM methods with their equations, as functions of NumPy arrays.

A is (u, v, k), the activations of the chosen layer. dA is (u, v, k), dy_c/dA, the gradient of the
class score y_c with respect to A. Z = u v. Sums over ij or ab run over the spatial dimensions.

The equations hold for any number of spatial dimensions: A may also be (t, k) of a signal or (d, u, v, k) of a volume.
The last axis has the channels; maps have all others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Cam(NamedTuple):
    """A class activation map at the resolution of the layer.

    Attributes:
        alpha: (k,) float32, channel weights; None for methods that weight positions instead of channels.
        pre_relu: (u, v) float32, the sum before the ReLU; negative values are evidence against the class.
    """

    alpha: np.ndarray | None
    pre_relu: np.ndarray

    @property
    def map(self) -> np.ndarray:
        """L = relu(pre_relu), float32."""
        L: np.ndarray = np.maximum(self.pre_relu, 0)
        return L


def spatial_axes(A: np.ndarray) -> tuple[int, ...]:
    """Return the axes of activations, or of their gradient, that are spatial: all but the last one."""
    return tuple(range(A.ndim - 1))


def gradcam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Grad-CAM.

        alpha_k^c = 1/Z sum_ij dy_c / dA_ij^k          (equation 1)
        L^c       = relu(sum_k alpha_k^c A^k)          (equation 2)

    Source:
        Selvaraju et al. 2017, Grad-CAM, section 3.
    """
    alpha = dA.mean(axis=spatial_axes(dA), dtype=np.float32)  # (k,)
    return weighted_sum(A, alpha)


def gradcam_plus_plus(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Grad-CAM++, in the closed form for a score that passes through an exponential.

        alpha_ij^kc = (dS/dA_ij^k)^2 / (2 (dS/dA_ij^k)^2 + sum_ab A_ab^k (dS/dA_ij^k)^3)   (equation 19)
        w_k^c       = sum_ij alpha_ij^kc relu(dY/dA_ij^k)                                 (equation 5)
        L^c         = relu(sum_k w_k^c A^k)

    With Y = exp(S), dY/dA = exp(S) dS/dA. The factor exp(S) scales the whole map and can overflow, so it
    is omitted. alpha is zero where numerator and denominator are zero. The paper sums A over ab;
    some implementations use the mean.

    Source:
        Chattopadhay et al. 2018, Grad-CAM++.
    """
    square = dA.astype(np.float64) ** 2
    denominator = 2 * square + A.sum(axis=spatial_axes(A), dtype=np.float64) * square * dA
    alpha = np.divide(square, denominator, out=np.zeros_like(square), where=denominator != 0)  # (u, v, k)
    w = (alpha * np.maximum(dA, 0)).sum(axis=spatial_axes(A)).astype(np.float32)  # (k,)
    return weighted_sum(A, w)


def hirescam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """HiResCAM: each activation is weighted by its own gradient.

        L^c = relu(sum_k dy_c/dA^k * A^k), with the ReLU of Grad-CAM

    Source:
        Draelos and Carin 2020, Use HiResCAM instead of Grad-CAM.
    """
    return Cam(None, (A * dA).sum(axis=-1))


def layercam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """LayerCAM: each activation is weighted by its own positive gradient.

        w_ij^kc = relu(dy_c/dA_ij^k)
        L^c     = relu(sum_k w^kc * A^k)

    Source:
        Jiang et al. 2021, LayerCAM.
    """
    return Cam(None, (A * np.maximum(dA, 0)).sum(axis=-1))


def xgradcam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """XGrad-CAM: gradients averaged with weights proportional to the activations.

        alpha_k^c = sum_ij A_ij^k / (sum_ab A_ab^k) dy_c/dA_ij^k
        L^c       = relu(sum_k alpha_k^c A^k)

    The weight of a channel with zero sum is zero.

    Source:
        Fu et al. 2020, Axiom-based Grad-CAM.
    """
    total = A.sum(axis=spatial_axes(A), dtype=np.float32)
    weighted = (A * dA).sum(axis=spatial_axes(A), dtype=np.float32)
    return weighted_sum(A, np.divide(weighted, total, out=np.zeros_like(total), where=total != 0))


def flow(A: np.ndarray, dA: np.ndarray, f: np.ndarray) -> Cam:
    """Return the first-order contribution of the layer at depth t of an ODE, dz/dt = f(t, z), to the class score.

        L^c(t) = |sum_k a^k(t) f^k(t, z(t))|,    a(t) = dy_c/dz(t)

    If a cell skips the layers from t to t + dt, its state at t + dt is smaller by f dt, and y_c changes by -a f dt. The
    map is in units of the score per unit of t.

    Args:
        A: (u, v, k), the state z(t); it is not used.
        dA: (u, v, k), the adjoint a(t).
        f: (u, v, k), f(t, z(t)).

    Source:
        Chen et al. 2018, Neural Ordinary Differential Equations, appendix B: dL/dt_1 = a(t_1) f(t_1, z(t_1)).
    """
    return Cam(None, np.abs((dA * f).sum(axis=-1)))


def eigencam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Eigen-CAM: the first principal component of the activations; it is class-agnostic.

        A = U S V^T, A as a matrix (u v, k)
        L = relu(A V_1), signed so that the sum of A V_1 is positive

    A is not centered, as in the paper; some implementations center it.

    Source:
        Muhammad and Yeasin 2020, Eigen-CAM.
    """
    matrix = A.reshape(-1, A.shape[-1])  # (u v, k)
    first = np.linalg.svd(matrix, full_matrices=False)[2][0]  # V_1, (k,)
    return weighted_sum(A, first * np.sign((matrix @ first).sum()))


def segeigencam(A: np.ndarray, dA: np.ndarray) -> Cam:
    """Seg-Eigen-CAM: the first principal component of the activations times their absolute gradients.

        G = |dy_c/dA| * A, as a matrix (u v, k), less the mean of each column        (equation 10)
        G = U S V^T                                                                  (equation 11)
        L = relu(G V_1), signed so that its largest absolute value is positive       (equations 12 and 13)

    It was made for segmentations, where the gradient of a region differs from cell to cell. The program of the peer
    pytorch-grad-cam centers G, as here.

    Source:
        Chung and Ying 2025, Seg-Eigen-CAM, section 3.2.
    """
    G = (np.abs(dA) * A).reshape(-1, A.shape[-1])  # (u v, k)
    G = G - G.mean(axis=0)
    L = G @ np.linalg.svd(G, full_matrices=False)[2][0]  # (u v,)
    return Cam(None, (-L if -L.min() > L.max() else L).reshape(A.shape[:-1]))


def weighted_sum(A: np.ndarray, alpha: np.ndarray) -> Cam:
    """Return the Cam with pre_relu = sum_k alpha_k A^k.

    Args:
        A: (u, v, k).
        alpha: (k,).
    """
    alpha = alpha.astype(np.float32, copy=False)
    with np.errstate(invalid="ignore"):  # BLAS sometimes sets this flag for finite values; infinite maps are refused
        return Cam(alpha, A @ alpha)


def zero_reason(A: np.ndarray, dA: np.ndarray, cam: Cam) -> str | None:
    """Return the reason why a map is zero everywhere, or None if it is not."""
    if cam.map.any():
        return None
    if not A.any():
        return "dead activations: all activations of the layer are zero for this image"
    if not dA.any():
        return "no gradient: the class score does not depend on this layer for this image"
    if cam.alpha is not None and (cam.alpha <= 0).all():
        return "no positive channel weight: no channel is evidence for the class"
    return "no positive value: the map before the ReLU is zero or negative everywhere"
