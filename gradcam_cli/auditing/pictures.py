"""Pictures of an audit: thumbnails and crops."""

from __future__ import annotations

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.output.scaling import scale_image, scaled_size

THUMBNAIL_SIDE = 64
"""Longer side of the images that are searched for marks, in pixels; smaller images keep their size."""
CROP_PARTS = 3
"""The side of a crop is the shorter side of the image divided by this number."""


def to_rgb(pixels: np.ndarray) -> np.ndarray:
    """Return pixels (H, W, 1) or (H, W, 3) as (H, W, 3)."""
    return np.repeat(pixels, 3, -1) if pixels.shape[-1] == 1 else pixels


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """Return an image (H, W, c) as (H', W', 3) uint8 with a longer side of at most `THUMBNAIL_SIDE`."""
    side = min(max(pixels.shape[:2]), THUMBNAIL_SIDE)
    return scale_image(to_rgb(pixels), scaled_size(pixels.shape, side))


def crop_box(center: tuple[float, float], shape: tuple[int, int]) -> Box:
    """Return a square around a place (y, x), moved into an image of (H, W) pixels."""
    side = max(min(shape) // CROP_PARTS, 1)
    y0 = min(max(round(center[0] - side / 2), 0), shape[0] - side)
    x0 = min(max(round(center[1] - side / 2), 0), shape[1] - side)
    return Box(x0, y0, x0 + side, y0 + side)
