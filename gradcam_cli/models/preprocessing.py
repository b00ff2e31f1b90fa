"""Conversion of uint8 pixels to the value range of the model input."""

from __future__ import annotations

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.models.catalog import catalog, find_spec

RANGES = {"none": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
"""Ranges (low, high) to which 0..255 is scaled."""
_KERAS_MODES = ("caffe", "tf", "torch")


def preprocess_choices() -> list[str]:
    """Return all values of `--preprocess`: ranges, Keras's modes and catalog names."""
    return [*RANGES, *_KERAS_MODES, *catalog()]


def resolve_preprocess(name: str) -> str:
    """Return the range or Keras mode of a `--preprocess` value; a catalog name stands for its mode.

    Raises:
        UsageError: the name is unknown.
    """
    if name in RANGES or name in _KERAS_MODES:
        return name
    if spec := find_spec(name):
        return spec.preprocess
    raise UsageError(
        f"--preprocess {name}: expected {', '.join(RANGES)} or a model name, got {name!r}",
        "`gradcam models` lists the model names",
    )


def preprocess_pixels(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Convert pixels to the values that a model was trained on.

    Args:
        pixels: (n, h, w, c) uint8; unchanged.
        mode: a value returned by `resolve_preprocess`.

    Returns:
        (n, h, w, c) float32, scaled to the range, or the result of
        `keras.applications.imagenet_utils.preprocess_input` in this mode.
    """
    x = pixels.astype(np.float32)
    if mode in RANGES:
        low, high = RANGES[mode]
        return x * np.float32((high - low) / 255) + np.float32(low)
    import keras

    preprocessed: np.ndarray = keras.applications.imagenet_utils.preprocess_input(
        x, data_format="channels_last", mode=mode
    )
    return preprocessed
