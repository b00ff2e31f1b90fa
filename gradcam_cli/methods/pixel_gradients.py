"""Methods that use the gradient of the class score with respect to the input's pixels."""

from __future__ import annotations

import numpy as np

from gradcam_cli.methods.cam import Cam, gradcam
from gradcam_cli.methods.maps import enlarge
from gradcam_cli.methods.perturbation import Network, Question

SAMPLES, NOISE = 25, 0.15
"""SmoothGrad: how many noisy inputs, and their deviation as a share of the input's range."""

STEPS = 32
"""Integrated gradients: points on the path."""


def saliency(network: Network, q: Question) -> Cam:
    """Gradient of the score with respect to the pixels: M = max over channels of |dy_c/dx|.

    Source:
        Simonyan et al. 2014, Deep Inside Convolutional Networks, section 3.1.
    """
    return _pixels(network.gradients(q.x[None], q.c)[0])


def smoothgrad(network: Network, q: Question) -> Cam:
    """SmoothGrad: the gradient averaged over noisy copies of the input, then as in `saliency`.

        M = 1/n sum_1^n dy_c/dx (x + N(0, sigma^2)),  n = 25, sigma = 0.15 (max x - min x)

    Source:
        Smilkov et al. 2017, SmoothGrad, section 3.
    """
    noise = np.random.default_rng(0).normal(0, NOISE * np.ptp(q.x), (SAMPLES, *q.x.shape)).astype(np.float32)
    return _pixels(network.gradients(q.x + noise, q.c).mean(axis=0))


def integrated_gradients(network: Network, q: Question) -> Cam:
    """Integrated gradients, from a black image: what adds to the score, summed over colours.

        IG = (x - x') * integral_0^1 dy_c/dx (x' + a (x - x')) da,  L = relu(sum over channels of IG)

    The integral is a sum over the midpoints of 32 steps.

    Source:
        Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, equation 1.
    """
    a = ((np.arange(STEPS) + 0.5) / STEPS).astype(np.float32)[:, None, None, None]
    difference = q.x - q.black
    IG = difference * network.gradients(q.black + a * difference, q.c).mean(axis=0)
    return Cam(None, IG.sum(axis=2))


def guided_backprop(network: Network, q: Question) -> Cam:
    """Guided backpropagation: as `saliency`, with only positive gradients let back through each ReLU.

    Source:
        Springenberg et al. 2015, Striving for Simplicity, section 3.4.
    """
    return _pixels(network.guided_gradients(q.x[None], q.c)[0])


def guided_gradcam(network: Network, q: Question) -> Cam:
    """Guided Grad-CAM: guided backpropagation, times the Grad-CAM map enlarged to the input.

    Source:
        Selvaraju et al. 2017, Grad-CAM, section 3.2.
    """
    shape = (q.x.shape[0], q.x.shape[1])
    return Cam(None, guided_backprop(network, q).L * enlarge(gradcam(q.A, q.dA).L, shape))


def _pixels(gradient: np.ndarray) -> Cam:
    """Return the largest absolute value over the channels of a gradient (h, w, c)."""
    return Cam(None, np.abs(gradient).max(axis=2))
