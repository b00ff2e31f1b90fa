"""Decoding of image files to uint8 RGB, with limits against malformed files."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from functools import cache
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gradcam_cli.errors import InputError
from gradcam_cli.images import bit_depth
from gradcam_cli.images.encode import FORMATS
from gradcam_cli.images.memory import bands
from gradcam_cli.images.structure import check_structure

MAX_PIXELS = 89_478_485
"""Pillow's default limit against decompression bombs."""
DECODED_BYTES_PER_PIXEL, WIDE_BYTES_PER_PIXEL = 12, 20
"""Memory to decode an image: Pillow's pixels, a decoder's buffers and the array; with transparency or wide numbers."""


class Decoded(NamedTuple):
    """An image.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        note: what is unusual about its values, or None.
    """

    pixels: np.ndarray
    note: str | None


def decode(data: bytes, max_pixels: int = MAX_PIXELS, max_value: int | None = None) -> np.ndarray:
    """Decode an image file to the RGB pixels that an image viewer shows.

    The EXIF orientation is applied, transparent pixels are composited on white, 16-bit and float
    images are converted to 8 bits, and the first frame of an animation is used.

    Args:
        data: the bytes of the file.
        max_pixels: limit of the number of pixels.
        max_value: the value of white in 16-bit and float images; None: 65535, and 1 or 255.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is empty, not an image, damaged, larger than `max_pixels`, has too many parts, or has
            values above `max_value`.
    """
    return decode_with_note(data, max_pixels, max_value).pixels


def decode_with_note(data: bytes, max_pixels: int = MAX_PIXELS, max_value: int | None = None) -> Decoded:
    """Decode an image file as `decode`, and note if its values use fewer than 16 bits."""
    if not data:
        raise InputError("the file is empty")
    with _one_line_errors():
        image = _open_image(io.BytesIO(data), max_pixels)
        if bit_depth.has_wide_colors(image):
            return _decode_wide_colors(image, data, max_value)
        image.load()
        _apply_orientation(image)
        note = None
        if image.mode.startswith("I") or image.mode == "F":
            image, note = _to_uint8(image, max_value)
        return Decoded(_to_array(_as_rgb(image)), note)


def _decode_wide_colors(image: Image.Image, data: bytes, max_value: int | None) -> Decoded:
    if max_value is None:
        image.load()
        note = bit_depth.few_bits_note(bit_depth.largest_wide_value(image))
        _apply_orientation(image)
        return Decoded(_to_array(_as_rgb(image)), note)
    low = _open_image(io.BytesIO(data), image.width * image.height)
    bit_depth.select_low_bytes(low)
    for part in (image, low):
        part.load()
        _apply_orientation(part)
    return Decoded(_to_array(_as_rgb(bit_depth.combine(image, low, max_value))), None)


def memory_to_decode(file: BinaryIO, max_pixels: int = MAX_PIXELS) -> int:
    """Return the bytes that `decode` takes at most, from the size and the header of a file.

    Args:
        file: open at its beginning; it is left there.
        max_pixels: as for `decode`.

    Raises:
        InputError: as `decode`, if the header shows it.
    """
    with _one_line_errors():
        num_bytes = file.seek(0, io.SEEK_END)
        file.seek(0)
        if not num_bytes:
            raise InputError("the file is empty")
        image = _open_image(file, max_pixels)
        file.seek(0)
        wide = image.mode[0] in "IF" or image.has_transparency_data or bit_depth.has_wide_colors(image)
        return num_bytes + image.width * image.height * (WIDE_BYTES_PER_PIXEL if wide else DECODED_BYTES_PER_PIXEL)


@contextlib.contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (InputError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise InputError("not an image: unknown format") from error
    except Exception as error:  # on malformed files Pillow's readers raise many types
        raise InputError(f"damaged image: {error or type(error).__name__}") from error


def _open_image(file: BinaryIO, max_pixels: int) -> Image.Image:
    """Read the header of an image file and check its size."""
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels  # the caller raised the limit
    check_structure(file)
    try:
        image = Image.open(file, formats=_supported_formats())
    except Image.DecompressionBombError as error:
        raise InputError(f"too large: {error}", "raise --max-pixels if you trust the file") from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise InputError(
            f"too large: expected at most {max_pixels:,} pixels, got {image.width}x{image.height} = {pixels:,}",
            "raise --max-pixels if you trust the file",
        )
    return image


@cache
def _supported_formats() -> tuple[str, ...]:
    """Return the formats in `FORMATS` that the installed Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _apply_orientation(image: Image.Image) -> None:
    with contextlib.suppress(Exception):  # damaged EXIF data, valid pixels
        ImageOps.exif_transpose(image, in_place=True)


def _as_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_array(image: Image.Image) -> np.ndarray:
    """Copy an RGB image to an array in bands, since `np.asarray` copies all pixels twice."""
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for rows in bands(pixels.shape):
        pixels[rows] = np.asarray(image.crop((0, rows.start, image.width, rows.stop)))
    return pixels


def _to_uint8(image: Image.Image, max_value: int | None) -> tuple[Image.Image, str | None]:
    """Convert an integer (0..65535) or float (0..1 or 0..255) image to 8 bits, and note if it uses fewer bits.

    Raises:
        InputError: a value is outside the range or not finite.
    """
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():  # a NaN is both the minimum and the maximum
        raise InputError("expected finite pixel values, got NaN or infinity")
    limit = max_value or (65535 if image.mode != "F" else 1 if high <= 1 else 255)
    if low < 0 or high > limit:
        hint = bit_depth.RAISE_HINT if low >= 0 else None
        raise InputError(f"expected pixel values in 0..{limit}, got {low:g}..{high:g}", hint)
    converted = np.empty(values.shape, np.uint8)
    for rows in bands(values.shape):
        converted[rows] = bit_depth.scale_values(values[rows], limit)
    note = None if max_value or image.mode == "F" else bit_depth.few_bits_note(int(high))
    return Image.fromarray(converted), note
