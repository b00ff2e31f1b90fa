"""Decoding of image files to uint8 RGB, with limits against malformed files."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gradcam_cli.errors import InputError
from gradcam_cli.images.encode import FORMATS

MAX_PIXELS = 89_478_485
"""Pillow's default limit against decompression bombs."""


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode an image file to the RGB pixels that an image viewer shows.

    The EXIF orientation is applied, transparent pixels are composited on white, 16-bit and float
    images are converted to 8 bits, and the first frame of an animation is used.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is empty, not an image, damaged, or larger than `max_pixels`.
    """
    if not data:
        raise InputError("the file is empty")
    try:
        return np.asarray(_as_rgb(_open_image(data, max_pixels)))
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("not an image: unknown format") from error
    except Exception as error:  # on malformed files Pillow's readers raise many types
        raise InputError(f"damaged image: {error or type(error).__name__}") from error


def _open_image(data: bytes, max_pixels: int) -> Image.Image:
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels  # the caller raised the limit
    try:
        image = Image.open(io.BytesIO(data), formats=_supported_formats())
    except Image.DecompressionBombError as error:
        raise InputError(f"too large: {error}", "raise --max-pixels if you trust the file") from error
    pixels = image.width * image.height
    if pixels > max_pixels:
        raise InputError(
            f"too large: expected at most {max_pixels:,} pixels, got {image.width}x{image.height} = {pixels:,}",
            "raise --max-pixels if you trust the file",
        )
    image.load()
    return image


@cache
def _supported_formats() -> tuple[str, ...]:
    """Return the formats in `FORMATS` that the installed Pillow supports."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _as_rgb(image: Image.Image) -> Image.Image:
    try:
        image = ImageOps.exif_transpose(image)
    except Exception:  # damaged EXIF data, valid pixels
        image = image.copy()
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_uint8(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return image.convert("RGB")


def _to_uint8(image: Image.Image) -> Image.Image:
    """Convert an integer (0..65535) or float (0..1 or 0..255) image to 8 bits.

    Raises:
        InputError: a value is outside the range or not finite.
    """
    values = np.asarray(image, np.float64)
    low, high = values.min(), values.max()
    if not np.isfinite(values).all():
        raise InputError("expected finite pixel values, got NaN or infinity")
    limit = (1 if high <= 1 else 255) if image.mode == "F" else 65535
    if low < 0 or high > limit:
        raise InputError(f"expected pixel values in 0..{limit}, got {low:g}..{high:g}")
    return Image.fromarray(np.round(values * (255 / limit)).astype(np.uint8))
