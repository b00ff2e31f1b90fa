"""Values of volumes, and of films of values: their size, their conversion to float32, and what people see of them.

A volume of 512 x 512 x 256 values takes 268 MB in float32: all is done in place, slice by slice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.bands import DEFAULT_RGB, STRETCH, VALUES_PER_PIXEL, Bands, parse_rgb
from gradcam_cli.images.decoded import Decoded
from gradcam_cli.images.read_options import ReadOptions
from gradcam_cli.images.space import Space

Window = tuple[float, float]
"""Center and width of the values that are shown from black to white."""


def check_size(shape: Sequence[int], max_pixels: int, unit: str = "voxels") -> None:
    """Check the size of a volume or a film, (D, H, W, k), before its values are read.

    Args:
        shape: its shape.
        max_pixels: limit of the number of voxels, or of the pixels of all frames.
        unit: the word for them.

    Raises:
        InputError: it is empty, or has more than `max_pixels` voxels or `VALUES_PER_PIXEL` times as many values.
    """
    D, H, W, count = shape
    if min(shape) < 1:
        raise InputError(f"expected at least one value, got {W}x{H}x{D} with {count} channels")
    if max_pixels < D * H * W or math.prod(shape) > VALUES_PER_PIXEL * max_pixels:
        raise InputError(
            f"too large: expected at most {max_pixels:,} {unit} and {VALUES_PER_PIXEL * max_pixels:,} values, "
            f"got {W}x{H}x{D} with {count} channels",
            "raise --max-pixels if you trust the file",
        )


def to_float32(stored: np.ndarray, slope: float = 1.0, intercept: float = 0.0) -> np.ndarray:
    """Return slope * stored + intercept in float32, in the order of C.

    Args:
        stored: numbers (D, H, W, k).
        slope: of the units of the values; the product is computed in float64.
        intercept: added to the product.
    """
    values = np.empty(stored.shape, np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for part, target in zip(stored, values, strict=True):
            target[...] = part if (slope, intercept) == (1, 0) else part * np.float64(slope) + np.float64(intercept)
    return values


def to_decoded(
    values: np.ndarray, space: Space, options: ReadOptions, shown: Window | None = None, inverted: bool = False
) -> Decoded:
    """Return a volume, or a film of values, with the picture of its slices.

    With a window of values (`options.window`) or the value of white (`options.max_value`), the values are scaled to
    0..255, and people see them so. Otherwise they reach the model as they are, and people see them through the window
    `shown`, or stretched: the percentiles `STRETCH` of each channel become black and white.

    Args:
        values: (D, H, W, k) float32; they are changed in place.
        space: of the input.
        options: how files are read.
        shown: a window of values for people, which the file recommends.
        inverted: whether low values are bright; then values that are scaled are inverted.

    Raises:
        InputError: a value is NaN or infinite, or outside 0..max_value, or `options.rgb` names a missing channel.
    """
    low, high = _range(values)
    if options.window is None and options.max_value is not None and (low < 0 or high > options.max_value):
        raise InputError(
            f"expected values in 0..{options.max_value}, got {low:g}..{high:g}", "set the largest --max-value"
        )
    limits = _limits(options.window) if options.window else (0.0, float(options.max_value or 0))
    scaled = limits[1] > limits[0]
    if scaled:
        for part in values:
            _scale(part, limits, inverted, out=part)
    pixels = np.empty((*values.shape[:3], 3), np.uint8)
    channels = _shown_channels(values.shape[3], options.rgb)
    for target, channel in enumerate(channels * (3 // len(channels))):
        if target >= len(channels):
            pixels[..., target] = pixels[..., 0]
            continue
        band = values[..., channel]
        limits = (0.0, 255.0) if scaled else _limits(shown) if shown else _percentiles(band)
        for part, picture in zip(band, pixels, strict=True):
            picture[..., target] = _scale(part, limits, inverted and not scaled).round()
    return Decoded(pixels, None, Bands(values, scaled), space)


def _range(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        raise InputError("expected finite values, got NaN or infinity", "replace missing values first")
    return low, high


def _limits(window: Window) -> tuple[float, float]:
    center, width = window
    return center - width / 2, center + width / 2


def _percentiles(band: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(band, STRETCH)
    return float(low), float(high)


def _scale(part: np.ndarray, limits: tuple[float, float], inverted: bool, out: np.ndarray | None = None) -> np.ndarray:
    """Return a slice with its values between two limits as 0..255; gray if the limits are equal."""
    low, high = limits
    if high <= low:
        return np.full(part.shape, 127.0, np.float32)
    scaled: np.ndarray = np.subtract(part, np.float32(low), out=out)
    scaled *= np.float32(255 / (high - low))
    np.clip(scaled, 0, 255, out=scaled)
    if inverted:
        np.subtract(np.float32(255), scaled, out=scaled)
    return scaled


def _shown_channels(count: int, rgb: str | None) -> tuple[int, ...]:
    chosen = parse_rgb(rgb) if rgb else DEFAULT_RGB if count >= 3 else (0,)
    if max(chosen) >= count:
        raise InputError(f"--rgb {rgb}: the input has {count} channels")
    return chosen
