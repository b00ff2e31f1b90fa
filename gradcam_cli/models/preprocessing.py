"""What is done to the pixels before a network sees them."""

from __future__ import annotations

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.models.catalog import catalog, find_spec

RANGES = {"none": (0.0, 255.0), "0..1": (0.0, 1.0), "-1..1": (-1.0, 1.0)}
_KERAS_MODES = ("caffe", "tf", "torch")


def preprocess_choices() -> list[str]:
    """Return all that `--preprocess` takes: the ranges, Keras's modes, and every application's name."""
    return [*RANGES, *_KERAS_MODES, *catalog()]


def resolve_preprocess(name: str) -> str:
    """Return the range or Keras mode that a name stands for; an application stands for its own.

    Raises:
        UsageError: no preprocessing has this name.
    """
    if name in RANGES or name in _KERAS_MODES:
        return name
    if application := find_spec(name):
        return application.preprocess
    raise UsageError(
        f"--preprocess {name}: expected {', '.join(RANGES)} or the name of an application, got {name!r}",
        "`gradcam models` lists the applications",
    )


def preprocess_pixels(pixels: np.ndarray, mode: str) -> np.ndarray:
    """Bring pixels to the values that a network was trained on.

    Args:
        pixels: (n, h, w, c) uint8; not changed.
        mode: a name that `resolve_preprocess` returns.

    Returns:
        (n, h, w, c) float32: within the range, or what the mode of
        `keras.applications.imagenet_utils.preprocess_input` makes of RGB pixels.
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
