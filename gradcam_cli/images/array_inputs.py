"""Arrays as signals, volumes and films."""

from __future__ import annotations

import numpy as np

from gradcam_cli.images.bands import Bands, to_bands
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space
from gradcam_cli.images.volume_values import to_decoded, to_float32

PICTURE_CHANNELS = (1, 3)
"""Channels of the frames of a film that are pictures; all others are bands."""


def to_input(stored: np.ndarray, kind: str, options: ReadOptions) -> Decoded:
    """Return a signal, a volume or a film from an array.

    The values of a signal reach the model as they are stored. The frames of a film are pictures if they have 8 bits
    and one or three channels, and are not to be read as bands.

    Args:
        stored: numbers (T, k), (D, H, W, k) or (T, H, W, k), from `arrange`; they stay as they are.
        kind: `signal`, `volume` or `film`.
        options: the value of white, the window of values, and the bands to show.

    Raises:
        InputError: a number is infinite or NaN, or outside 0..max_value; a band to show is missing.
    """
    if kind == "signal":
        values = to_bands(stored, None).values
        return Decoded(values, None, Bands(values, scaled=False), Space(kind))
    if is_picture_film(stored, kind) and options.rgb is None:
        frames = np.broadcast_to(stored, (*stored.shape[:3], 3))
        return Decoded(np.array(frames, order="C"), None, None, Space(kind))
    return to_decoded(to_float32(stored), Space(kind), options)


def is_picture_film(stored: np.ndarray, kind: str) -> bool:
    """Return whether an array is a film of pictures."""
    return kind == "film" and stored.dtype == np.uint8 and stored.shape[-1] in PICTURE_CHANNELS
