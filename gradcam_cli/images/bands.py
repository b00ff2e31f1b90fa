"""Images with any number of bands: NumPy arrays, and TIFF files of bands that are no colors.

Their values reach the model as they are stored, in float32. What people see is three of the bands.
"""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.storage.arrays import ArrayHeader, read_array, read_array_header

NPY_START = b"\x93NUMPY"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF files, and of those above 4 GB."""
VALUES_PER_PIXEL = 3
"""Values of an image of the largest size; an image with more bands may have fewer pixels."""
BYTES_PER_VALUE = 16
"""Memory to read a value: as it is stored, in float32, and copies of a band to show it."""
STRETCH = (2.0, 98.0)
"""Percentiles of a band that are shown as black and white, as geographic information systems do."""
DEFAULT_RGB = (0, 1, 2)


class Bands(NamedTuple):
    """The values of an image.

    Attributes:
        values: (H, W, k) float32.
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


def is_array(start: bytes) -> bool:
    """Return whether a file with these first bytes is a `.npy` file."""
    return start.startswith(NPY_START)


def is_tiff(start: bytes) -> bool:
    """Return whether a file with these first bytes is a TIFF file."""
    return start.startswith(TIFF_STARTS)


def memory_to_read(file: BinaryIO, max_pixels: int) -> int:
    """Return the bytes that `read_bands` takes at most, from the header of a `.npy` or TIFF file.

    Args:
        file: open at its beginning; it is left there.
        max_pixels: limit of the number of pixels.

    Raises:
        InputError: as `read_bands`, if the header shows it.
    """
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    if is_array(file.read(len(NPY_START))):
        file.seek(0)
        shape = _check_array(read_array_header(file, num_bytes), max_pixels)
    else:
        file.seek(0)
        shape = _check_page(_first_page(file), max_pixels)
    file.seek(0)
    return num_bytes + BYTES_PER_VALUE * math.prod(shape)


def read_bands(data: bytes, max_pixels: int, max_value: int | None) -> Bands:
    """Read a `.npy` array (H, W) or (H, W, k) of numbers, or the first image of a TIFF file.

    Args:
        data: the bytes of the file.
        max_pixels: limit of the number of pixels.
        max_value: the value of white: values are scaled from 0..max_value to 0..255. None: values of 8 bits are in
            0..255, and all others are not scaled.

    Raises:
        InputError: the file is damaged, too large, has no numbers or infinite ones, or values outside 0..max_value; a
            TIFF file is not stored upright, or its compression requires a package.
    """
    file = io.BytesIO(data)
    if is_array(data):
        _check_array(read_array_header(file, len(data)), max_pixels)
        file.seek(0)
        stored = read_array(file)
    else:
        stored = _read_tiff(file, max_pixels)
    return to_bands(stored if stored.ndim == 3 else stored[:, :, None], max_value)


def to_bands(stored: np.ndarray, max_value: int | None) -> Bands:
    """Convert stored numbers (H, W, k) to float32, scaled to 0..255 if the value of white is known.

    Raises:
        InputError: a number is infinite or NaN, or outside 0..max_value.
    """
    with np.errstate(over="ignore"):
        values = stored.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise InputError("expected finite values in all bands, got NaN or infinity", "replace missing values first")
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


def _check_array(header: ArrayHeader, max_pixels: int) -> tuple[int, ...]:
    shape, dtype = header
    if dtype.kind not in "biuf" or len(shape) not in (2, 3) or 0 in shape:
        raise InputError(f"expected an array (H, W, bands) or (H, W) of numbers, got {shape} of {dtype}")
    return _check_size(shape if len(shape) == 3 else (*shape, 1), max_pixels)


def _check_size(shape: tuple[int, ...], max_pixels: int) -> tuple[int, ...]:
    H, W, count = shape
    if max_pixels < H * W or math.prod(shape) > VALUES_PER_PIXEL * max_pixels:
        raise InputError(
            f"too large: expected at most {max_pixels:,} pixels and {VALUES_PER_PIXEL * max_pixels:,} values, "
            f"got {W}x{H} with {count} bands",
            "raise --max-pixels if you trust the file",
        )
    return shape


def _first_page(file: BinaryIO) -> Any:
    try:
        import tifffile
    except ImportError as error:
        raise InputError(
            "a TIFF file of several bands requires the package tifffile", "pip install 'gradcam-cli[tiff]'"
        ) from error
    return tifffile.TiffFile(file).pages.first


def _check_page(page: Any, max_pixels: int) -> tuple[int, ...]:
    axes, shape = page.axes, page.shape
    if sorted(axes) not in (["X", "Y"], ["S", "X", "Y"]) or 0 in shape:
        raise InputError(f"expected a TIFF image of rows, columns and bands, got axes {axes} of {shape}")
    if page.tags.valueof("Orientation", 1) != 1:
        raise InputError("expected a TIFF image that is stored upright, got another orientation")
    sizes = dict(zip(axes, shape, strict=True))
    return _check_size((sizes["Y"], sizes["X"], sizes.get("S", 1)), max_pixels)


def _read_tiff(file: BinaryIO, max_pixels: int) -> np.ndarray:
    page = _first_page(file)
    _check_page(page, max_pixels)
    try:
        stored: np.ndarray = page.asarray(maxworkers=1)
    except ValueError as error:
        if "imagecodecs" in str(error):
            raise InputError(
                "the compression of the TIFF file requires the package imagecodecs", "pip install 'gradcam-cli[tiff]'"
            ) from error
        raise
    if stored.dtype.kind not in "biuf":
        raise InputError(f"expected a TIFF image of numbers, got {stored.dtype}")
    return np.moveaxis(stored, 0, -1) if page.axes.startswith("S") else stored
