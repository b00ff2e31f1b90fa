"""Images with any number of bands: their values, and the picture that people see.

The values of arrays, and of TIFF files of bands that are no colors, reach the model as they are stored, in float32.
People see three of the bands.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gradcam_cli.errors import InputError, UsageError

VALUES_PER_PIXEL = 3
"""Values of an image of the largest size; an image with more bands may have fewer pixels."""
STRETCH = (2.0, 98.0)
"""Percentiles of a band that are shown as black and white, as geographic information systems do."""
DEFAULT_RGB = (0, 1, 2)


class Bands(NamedTuple):
    """The values of an image.

    Attributes:
        values: (H, W, k) float32, or (spatial axes..., k) of an input of another kind.
        scaled: whether they are in 0..255: they are stored in 8 bits, or the value of white is known.
    """

    values: np.ndarray
    scaled: bool


def parse_rgb(text: str) -> tuple[int, ...]:
    """Return the indices of the bands to show, from their numbers: `3,2,1` is (2, 1, 0).

    Raises:
        UsageError: the text is not three numbers from 1 on, or one of them.
    """
    parts = text.split(",")
    if len(parts) not in (1, 3) or not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise UsageError(f"rgb: expected three numbers of bands such as 3,2,1, or one of them, got {text!r}")
    indices = tuple(int(part) - 1 for part in parts)
    if min(indices) < 0:
        raise UsageError(f"rgb: bands are counted from 1, got {text}")
    return indices


def to_bands(stored: np.ndarray, max_value: int | None, window: tuple[float, float] | None = None) -> Bands:
    """Convert stored numbers (H, W, k) to float32, scaled to 0..255 if the value of white is known.

    Args:
        stored: (H, W, k), or with other spatial axes.
        max_value: as for `read_bands`.
        window: center and width of the values that become 0..255; those outside are clipped.

    Raises:
        InputError: a number is infinite or NaN, or outside 0..max_value.
    """
    with np.errstate(over="ignore"):
        values = stored.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise InputError("expected finite values in all bands, got NaN or infinity", "replace missing values first")
    if window is not None:
        values -= np.float32(window[0] - window[1] / 2)
        values *= np.float32(255 / window[1])
        return Bands(np.clip(values, 0, 255, out=values), scaled=True)
    if max_value is None:
        return Bands(values, stored.dtype == np.uint8)
    if low < 0 or high > max_value:
        raise InputError(f"expected values in 0..{max_value}, got {low:g}..{high:g}", "set the largest --max-value")
    values *= np.float32(255 / max_value)
    return Bands(values, scaled=True)


def to_rgb(bands: Bands, rgb: str | None) -> np.ndarray:
    """Return the picture of bands that people see, (H, W, 3) uint8.

    Values that are not in 0..255 are stretched band by band: the percentiles `STRETCH` become 0 and 255.

    Args:
        bands: the image.
        rgb: the numbers of the bands, as for `parse_rgb`. None: the first three bands, or the first one in gray.

    Raises:
        InputError: the image has fewer bands.
    """
    values, scaled = bands
    count = values.shape[2]
    chosen = parse_rgb(rgb) if rgb else DEFAULT_RGB if count >= 3 else (0,)
    if max(chosen) >= count:
        raise InputError(f"--rgb {rgb}: the image has {count} bands")
    shown = np.empty((*values.shape[:2], 3), np.uint8)
    for i, band in enumerate(chosen * (3 // len(chosen))):
        shown[:, :, i] = values[:, :, band].round() if scaled else _stretch(values[:, :, band])
    return shown


def _stretch(band: np.ndarray) -> np.ndarray:
    low, high = np.percentile(band, STRETCH)
    if high <= low:
        return np.full(band.shape, 127.0, np.float32)
    stretched: np.ndarray = np.clip((band - low) * (255 / (high - low)), 0, 255)
    return stretched


def check_size(shape: tuple[int, ...], max_pixels: int) -> tuple[int, ...]:
    """Return the shape (H, W, k), or (spatial axes..., k) of an input of another kind.

    Raises:
        InputError: it has more than `max_pixels` places, or three times as many values.
    """
    *spatial, count = shape
    if max_pixels < math.prod(spatial) or math.prod(shape) > VALUES_PER_PIXEL * max_pixels:
        size = "x".join(map(str, reversed(spatial) if len(spatial) == 2 else spatial))
        raise InputError(
            f"too large: expected at most {max_pixels:,} pixels and {VALUES_PER_PIXEL * max_pixels:,} values, "
            f"got {size} with {count} bands",
            "raise --max-pixels if you trust the file",
        )
    return shape
