"""Images with 16 bits per value: their full values, and whether they use fewer bits.

Pillow keeps only the high bytes of color images with 16 bits. The low bytes are those that it keeps if it is told the
other byte order.
"""

from __future__ import annotations

import re
import sys

import numpy as np
from PIL import Image

from gradcam_cli.errors import InputError
from gradcam_cli.images.memory import bands

USED_BITS = (8, 10, 12, 14)
"""Bits of sensors and scanners whose values are stored in 16 bits."""
RAISE_HINT = "set the largest value with --max-value"
_RAW_MODE = re.compile(r"^(RGB|RGBA|RGBX|LA);16([LBN])$")
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def has_wide_colors(image: Image.Image) -> bool:
    """Return whether an image that is open, but not loaded, has several channels of 16 bits."""
    return _raw_mode(image) is not None


def select_low_bytes(image: Image.Image) -> None:
    """Make an open image with wide colors load the low bytes of its values, not the high bytes.

    Raises:
        InputError: Pillow cannot read the low bytes of gray images with transparency.
    """
    raw_mode = _raw_mode(image)
    if raw_mode and raw_mode[1] == "LA":
        raise InputError("--max-value is not supported for 16-bit gray images with transparency")
    image.tile = [tile._replace(args=_with_other_order(tile.args)) for tile in image.tile]  # type: ignore[attr-defined]


def combine(high: Image.Image, low: Image.Image, max_value: int) -> Image.Image:
    """Return an image of 8 bits from the high and the low bytes of its values; 255 is `max_value`.

    Raises:
        InputError: a value is larger than `max_value`.
    """
    color = np.empty((high.height, high.width, 3), np.uint8)
    for rows in bands(color.shape):
        box = (0, rows.start, high.width, rows.stop)
        high_rows, low_rows = (np.asarray(part.crop(box), np.uint16)[..., :3] for part in (high, low))
        values = high_rows * np.uint16(256) + low_rows
        if values.max() > max_value:
            raise InputError(f"expected pixel values in 0..{max_value}, got {values.max()}", RAISE_HINT)
        color[rows] = scale_values(values, max_value)
    combined = Image.fromarray(color)
    if high.mode == "RGBA":
        combined.putalpha(high.getchannel("A"))
    return combined


def scale_values(values: np.ndarray, max_value: float) -> np.ndarray:
    """Return values of 0..max_value, scaled to 0..255 and rounded."""
    return np.round(values.astype(np.float64) * (255 / max_value))


def few_bits_note(largest: int) -> str | None:
    """Return a note about an image whose values use fewer than 16 bits, or None.

    Args:
        largest: its largest value.
    """
    bits = next((bits for bits in USED_BITS if 0 < largest < 1 << bits), None)
    if bits is None:
        return None
    return f"its 16-bit values are below {1 << bits:,}: if it has {bits} bits, set --max-value {(1 << bits) - 1}"


def largest_wide_value(image: Image.Image) -> int:
    """Return the largest value that the colors of a loaded image with high bytes may have."""
    extrema = image.getextrema()[:3]
    largest = max(high for _, high in extrema)  # type: ignore[misc]
    return 256 * int(largest) + 255 if largest else 0


def _raw_mode(image: Image.Image) -> re.Match[str] | None:
    for tile in getattr(image, "tile", ()):
        for text in (tile.args,) if isinstance(tile.args, str) else tile.args or ():
            if isinstance(text, str) and (found := _RAW_MODE.match(text)):
                return found
    return None


def _with_other_order(args: object) -> object:
    if isinstance(args, tuple):
        return tuple(map(_with_other_order, args))
    found = _RAW_MODE.match(args) if isinstance(args, str) else None
    return f"{found[1]};16{_OTHER_ORDER[found[2]]}" if found else args
