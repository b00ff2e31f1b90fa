"""Conversion of pixels and other values to the value range of the model input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.models.catalog import ModelSpec, catalog, find_spec
from gradcam_cli.models.own_preprocess import RANGES, is_own_preprocess, parse_own_preprocess, scale_pixels
from gradcam_cli.near_matches import did_you_mean

_KERAS_MODES = ("caffe", "tf", "torch")


class PreprocessChoice(NamedTuple):
    """A preprocessing and why it was chosen.

    Attributes:
        mode: a value that `preprocess_pixels` accepts.
        reason: why.
        guess: whether it may be wrong.
    """

    mode: str
    reason: str
    guess: bool = False


def given_preprocess(mode: str, shape: tuple[int, ...]) -> PreprocessChoice:
    """Return a requested preprocessing; raise UsageError if it is for other channels than the model has."""
    required = required_channels(mode)
    if required not in (None, shape[-1]):
        raise UsageError(f"--preprocess {mode}: requires {required} channels, the model has {shape[-1]}")
    return PreprocessChoice(mode, "as requested")


def known_preprocess(spec: ModelSpec) -> PreprocessChoice:
    """Return the preprocessing of a catalog model."""
    return PreprocessChoice(spec.preprocess, f"as in the training of {spec.name}")


def preprocess_choices() -> list[str]:
    """Return all values of `--preprocess`: ranges, Keras's modes and catalog names."""
    return [*RANGES, *_KERAS_MODES, *catalog()]


def resolve_preprocess(name: str) -> str:
    """Return the range, Keras mode or own preprocessing of a `--preprocess` value; a catalog name stands for its mode.

    Raises:
        UsageError: the name is unknown, or an own mean or standard deviation is invalid.
    """
    if is_own_preprocess(name):
        return str(parse_own_preprocess(name))
    if name in RANGES or name in _KERAS_MODES:
        return name
    if spec := find_spec(name):
        return spec.preprocess
    raise UsageError(
        f"--preprocess {name}: expected {', '.join(RANGES)}, mean=..., bgr or a model name, got {name!r}",
        did_you_mean(name, preprocess_choices()) or "`gradcam models` lists the model names",
    )


def required_channels(mode: str) -> int | None:
    """Return the number of channels that a value of `resolve_preprocess` requires, or None."""
    if is_own_preprocess(mode):
        return parse_own_preprocess(mode).required_channels
    return 3 if mode in ("caffe", "torch") else None


def scales_values(mode: str) -> bool:
    """Return whether a value of `resolve_preprocess` expects values of 0..255: whether it does more than shift them."""
    return (parse_own_preprocess(mode).scale if is_own_preprocess(mode) else mode) != "none"


def reverses_channels(mode: str) -> bool:
    """Return whether the model input is BGR."""
    return parse_own_preprocess(mode).bgr if is_own_preprocess(mode) else mode == "caffe"


def preprocess_pixels(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Convert pixels to the values that a model was trained on.

    Args:
        pixels: (n, h, w, c), or with another number of spatial axes, uint8 or float32; unchanged.
        mode: a value returned by `resolve_preprocess`.

    Returns:
        An array of the same shape, float32: scaled to the range, by the own preprocessing, or the result of
        `keras.applications.imagenet_utils.preprocess_input` in this mode.
    """
    x = pixels.astype(np.float32)
    if mode in RANGES:
        return scale_pixels(x, mode)
    if is_own_preprocess(mode):
        return parse_own_preprocess(mode).apply(x)
    import keras

    preprocessed: np.ndarray = keras.applications.imagenet_utils.preprocess_input(
        x, data_format="channels_last", mode=mode
    )
    return preprocessed
