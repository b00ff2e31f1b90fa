"""Files of images with any number of bands: NumPy arrays, and TIFF files of bands that are no colors."""

from __future__ import annotations

import io
import math
from typing import Any, BinaryIO

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images import array_files
from gradcam_cli.images.bands import Bands, check_size, to_bands
from gradcam_cli.images.read_options import ReadOptions

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of TIFF files, and of those above 4 GB."""
BYTES_PER_VALUE = 16
"""Memory to read a value: as it is stored, in float32, and copies of a band to show it."""


def is_tiff(start: bytes) -> bool:
    """Return whether a file with these first bytes is a TIFF file."""
    return start.startswith(TIFF_STARTS)


def memory_to_read(file: BinaryIO, options: ReadOptions) -> int:
    """Return the bytes that `read_bands` takes at most, from the header of an array or TIFF file.

    Args:
        file: open at its beginning; it is left there.
        options: how it is read.

    Raises:
        InputError: as `read_bands`, if the header shows it.
    """
    num_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    is_array = array_files.is_array(file.read(array_files.START_BYTES))
    file.seek(0)
    shape = array_files.read_shape(file, options) if is_array else _check_page(_first_page(file), options.max_pixels)
    file.seek(0)
    return num_bytes + BYTES_PER_VALUE * math.prod(shape)


def read_bands(data: bytes, options: ReadOptions) -> Bands:
    """Read an array (H, W) or (H, W, k) of numbers, or the first image of a TIFF file.

    Args:
        data: the bytes of the file.
        options: how it is read. With a value of white, values are scaled from 0..max_value to 0..255, and with a
            window, from that; otherwise values of 8 bits are in 0..255, and all others are not scaled.

    Raises:
        InputError: the file is damaged, too large, has no numbers or infinite ones, or values outside 0..max_value; a
            TIFF file is not stored upright, or its compression requires a package.
    """
    file = io.BytesIO(data)
    if array_files.is_array(data):
        stored, _ = array_files.read_arranged(file, options)
    else:
        stored = _read_tiff(file, options.max_pixels)
    return to_bands(stored if stored.ndim == 3 else stored[:, :, None], options.max_value, options.window)


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
    return check_size((sizes["Y"], sizes["X"], sizes.get("S", 1)), max_pixels)


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
