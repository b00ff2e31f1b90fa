"""The images of a server as pictures for the page; the bytes of a file are never passed on."""

from __future__ import annotations

import numpy as np

from gradcam_cli.images.encode import encode
from gradcam_cli.output.scaling import scale_image, scaled_size
from gradcam_cli.reporting.thumbnails import source_image_format

PICTURE_SIDE, SMALL_SIDE = 1280, 160
"""Longer sides in pixels; smaller images keep their size."""
TYPES = {"png": "image/png", "jpg": "image/jpeg"}


def encode_picture(pixels: np.ndarray) -> tuple[bytes, str]:
    """Return an image (H, W, 3) uint8 for the screen, and its media type; small images are without loss."""
    return _encoded(pixels, PICTURE_SIDE, source_image_format(pixels))


def encode_small(pixels: np.ndarray) -> tuple[bytes, str]:
    """Return a thumbnail, a JPEG, and its media type."""
    return _encoded(pixels, SMALL_SIDE, "jpg")


def _encoded(pixels: np.ndarray, side: int, image_format: str) -> tuple[bytes, str]:
    small = scale_image(pixels, scaled_size(pixels.shape, min(side, max(pixels.shape[:2]))))
    return encode(small, image_format), TYPES[image_format]
