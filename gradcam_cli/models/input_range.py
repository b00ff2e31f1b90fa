"""Which preprocessing a model needs: measured on the model, or known from its architecture."""

from __future__ import annotations

import keras

from gradcam_cli.models.backbone import Backbone
from gradcam_cli.models.preprocessing import PreprocessChoice, required_channels
from gradcam_cli.network.input_probe import InputProbe, probe_input

MAX_NORMALIZED = 20.0
"""Largest absolute value that weights receive from normalized images; pixels of 0..255 are far above."""
IMAGENET_MEANS = (-140.0, 160.0)
"""Range that contains pixels of 0..255 after subtraction of ImageNet's means."""

AS_STORED = PreprocessChoice("none", "images of other channels than colors are passed as they are stored")
SIGNAL = PreprocessChoice("none", "signals are passed as they are stored")
BANDS = PreprocessChoice("none", "volumes of other channels than colors are passed as they are stored")
VOLUME = PreprocessChoice("none", "volumes are passed as they are stored, and gray films as 0..255", guess=True)
UNKNOWN = PreprocessChoice("0..1", "the model does not show its input range", guess=True)


def choose_preprocess(model: keras.Model, input_shape: tuple[int, ...], backbone: Backbone | None) -> PreprocessChoice:
    """Return the preprocessing of a model, from what it does to its input before the first weights.

    A model that scales its input gets the range for which the first weights receive normalized values. Otherwise the
    preprocessing of the architecture that it contains is chosen, or 0..1. Signals, and volumes of one channel, have no
    range that is known; they are passed as they are stored.

    Args:
        model: the model.
        input_shape: (h, w, c), or with another number of spatial axes.
        backbone: the catalog model that it contains, or None.
    """
    *sides, channels = input_shape
    if len(sides) == 1:
        return SIGNAL
    if channels not in (1, 3):
        return AS_STORED if len(sides) == 2 else BANDS
    probe = probe_input(model, input_shape)
    measured = _choose_by_range(probe) if probe and not probe.is_identity else None
    if len(sides) > 2 and channels == 1:
        return measured if measured and measured.mode == "none" else VOLUME
    if measured:
        return measured
    if backbone and required_channels(backbone.spec.preprocess) in (None, channels):
        return PreprocessChoice(backbone.spec.preprocess, backbone.reason, backbone.guess)
    return UNKNOWN


def _choose_by_range(probe: InputProbe) -> PreprocessChoice:
    low, high = probe.range_of(0, 255)
    if _is_normalized(low, high) or (IMAGENET_MEANS[0] < low < -80 and high < IMAGENET_MEANS[1]):
        return PreprocessChoice("none", f"the model itself converts 0..255 to {low:.3g}..{high:.3g}")
    for mode, start in (("0..1", 0.0), ("-1..1", -1.0)):
        low, high = probe.range_of(start, 1)
        if _is_normalized(low, high):
            return PreprocessChoice(mode, f"the model itself converts {mode} to {low:.3g}..{high:.3g}")
    low, high = probe.range_of(0, 255)
    return PreprocessChoice("none", f"the model itself converts 0..255 to {low:.3g}..{high:.3g}", guess=True)


def _is_normalized(low: float, high: float) -> bool:
    return max(abs(low), abs(high)) <= MAX_NORMALIZED
