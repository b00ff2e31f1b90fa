"""Input-gradient methods: they use dy_c/dx, the gradient of the class score with respect to the input."""

from __future__ import annotations

import numpy as np

from gradcam_cli.methods.cam import Cam, gradcam
from gradcam_cli.methods.maps import upsample
from gradcam_cli.methods.scorer import AttributionInputs, Scorer

SMOOTHGRAD_SAMPLES, SMOOTHGRAD_NOISE = 25, 0.15
"""SmoothGrad: number of noisy inputs, and their standard deviation as a fraction of the input's range."""

IG_STEPS = 32
"""Integrated gradients: number of points on the path."""


def saliency(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Saliency: M = max over channels of |dy_c/dx|.

    Source:
        Simonyan et al. 2014, Deep Inside Convolutional Networks, section 3.1.
    """
    return _max_abs_over_channels(scorer.input_gradients(inputs.x[None], inputs.class_index)[0])


def smoothgrad(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """SmoothGrad: the gradient averaged over noisy inputs, then reduced as in `saliency`.

        M = 1/n sum_1^n dy_c/dx (x + N(0, sigma^2)),  n = 25, sigma = 0.15 (max x - min x)

    Source:
        Smilkov et al. 2017, SmoothGrad, section 3.
    """
    noise = (
        np.random.default_rng(0)
        .normal(0, SMOOTHGRAD_NOISE * np.ptp(inputs.x), (SMOOTHGRAD_SAMPLES, *inputs.x.shape))
        .astype(np.float32)
    )
    return _max_abs_over_channels(scorer.input_gradients(inputs.x + noise, inputs.class_index).mean(axis=0))


def integrated_gradients(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Integrated gradients from a black baseline x', summed over the color channels.

        IG = (x - x') * integral_0^1 dy_c/dx (x' + a (x - x')) da,  L = relu(sum over channels of IG)

    The integral is approximated by the midpoint rule with 32 steps.

    Source:
        Sundararajan et al. 2017, Axiomatic Attribution for Deep Networks, equation 1.
    """
    difference = inputs.x - inputs.baseline
    a = ((np.arange(IG_STEPS) + 0.5) / IG_STEPS).astype(np.float32).reshape(-1, *(1,) * difference.ndim)
    IG = difference * scorer.input_gradients(inputs.baseline + a * difference, inputs.class_index).mean(axis=0)
    return Cam(None, IG.sum(axis=-1))


def guided_backprop(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Guided backpropagation: `saliency` with guided ReLUs, which pass back only positive gradients.

    Source:
        Springenberg et al. 2015, Striving for Simplicity, section 3.4.
    """
    return _max_abs_over_channels(scorer.guided_gradients(inputs.x[None], inputs.class_index)[0])


def guided_gradcam(scorer: Scorer, inputs: AttributionInputs) -> Cam:
    """Guided Grad-CAM: guided backpropagation times the Grad-CAM map, upsampled to the input size.

    Source:
        Selvaraju et al. 2017, Grad-CAM, section 3.2.
    """
    upsampled = upsample(gradcam(inputs.A, inputs.dA).map, inputs.x.shape[:-1])
    return Cam(None, guided_backprop(scorer, inputs).map * upsampled)


def _max_abs_over_channels(gradient: np.ndarray) -> Cam:
    """Return the maximum absolute value over the channels of a gradient (h, w, c), as a map (h, w)."""
    return Cam(None, np.abs(gradient).max(axis=-1))
