"""The inputs of a server as pictures for the page; the bytes of a file are never passed on."""

from __future__ import annotations

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.images.encode import encode
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.output.scaling import scale_image, scaled_size
from gradcam_cli.output.views import VIEWS, Shown
from gradcam_cli.reporting.thumbnails import source_image_format
from gradcam_cli.serving.planes import slice_pixels

PICTURE_SIDE, SMALL_SIDE = 1280, 160
"""Longer sides in pixels; smaller images keep their size."""
TYPES = {"png": "image/png", "jpg": "image/jpeg"}


def encode_picture(image: LoadedImage, axis: int = 0, number: int | None = None) -> tuple[bytes, str]:
    """Return an input for the screen, and its media type; small pictures are without loss.

    Args:
        image: the input.
        axis: of the array of a volume, across its slices.
        number: of the slice or frame; None for the middle.

    Raises:
        UsageError: the input has no such slice.
    """
    pixels = _pixels(image, PICTURE_SIDE, axis, number)
    return _encoded(pixels, PICTURE_SIDE, source_image_format(pixels))


def encode_small(image: LoadedImage) -> tuple[bytes, str]:
    """Return a thumbnail, a JPEG, and its media type."""
    return _encoded(_pixels(image, SMALL_SIDE), SMALL_SIDE, "jpg")


def _pixels(image: LoadedImage, side: int, axis: int = 0, number: int | None = None) -> np.ndarray:
    """Return an image as it is, the lines of a signal, or one slice with square pixels, (h, w, 3) uint8."""
    if image.space.kind == "image":
        return image.pixels
    shape = image.shape
    shown = Shown(image.pixels, np.broadcast_to(np.float32(0), shape), Box.whole(shape), image.space)
    if image.space.kind == "signal":
        return VIEWS["signal"].image_panel(shown, side)
    pixels, size = slice_pixels(shown, axis, shape[axis] // 2 if number is None else number)
    return scale_image(pixels, size, smooth=True)


def _encoded(pixels: np.ndarray, side: int, image_format: str) -> tuple[bytes, str]:
    small = scale_image(pixels, scaled_size(pixels.shape, min(side, max(pixels.shape[:2]))))
    return encode(small, image_format), TYPES[image_format]
