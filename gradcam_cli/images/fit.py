"""The part of a photo that a network sees, as a rectangle in the photo's own pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

FIT_MODES = ("squash", "crop", "pad")
CROP_MARGIN = 256 / 224
"""The usual ImageNet evaluation: the shorter side becomes 256, the central 224 are seen."""


class Box(NamedTuple):
    """A rectangle of pixels: columns x0 to x1 and rows y0 to y1, the ends not included."""

    x0: int
    y0: int
    x1: int
    y1: int


def crop_box_for(image_shape: tuple[int, int], input_shape: tuple[int, int], fit: str) -> Box:
    """Return the part of a photo that the network sees, in whole pixels.

    Args:
        image_shape: (H, W) of the photo.
        input_shape: (h, w) of the network's input.
        fit: `squash`, the whole photo, its sides scaled apart; `crop`, the centre after the shorter
            side is scaled to 256/224 of the input; `pad`, the whole photo and bars beside it, so
            that the view reaches beyond the photo.
    """
    (H, W), (h, w) = image_shape, input_shape
    if fit == "squash":
        return Box(0, 0, W, H)
    scale = min(H / h, W / w) / CROP_MARGIN if fit == "crop" else max(H / h, W / w)
    height, width = max(round(h * scale), 1), max(round(w * scale), 1)
    x0, y0 = (W - width) // 2, (H - height) // 2
    return Box(x0, y0, x0 + width, y0 + height)


def clip_to_image(crop_box: Box, shape: tuple[int, int]) -> Box:
    """Return the part of the view that lies in a photo of (H, W) pixels."""
    H, W = shape
    return Box(max(crop_box.x0, 0), max(crop_box.y0, 0), min(crop_box.x1, W), min(crop_box.y1, H))


PADDING_COLOR = (124, 116, 104)
"""ImageNet's mean colour, rounded: what the network takes for nothing."""


def resize_to_input(pixels: np.ndarray, crop_box: Box, input_shape: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Return what the network sees: the view of the photo, scaled bilinearly.

    Args:
        pixels: (H, W, 3) uint8.
        crop_box: from `crop_box_for`.
        input_shape: (h, w).
        channels: 3, or 1 for a grayscale network.

    Returns:
        (h, w, channels) uint8.
    """
    image = Image.fromarray(pixels)
    seen = clip_to_image(crop_box, pixels.shape[:2])
    if seen != crop_box:
        padded = Image.new("RGB", (crop_box.x1 - crop_box.x0, crop_box.y1 - crop_box.y0), PADDING_COLOR)
        padded.paste(image, (-crop_box.x0, -crop_box.y0))
        image, crop_box = padded, Box(0, 0, *padded.size)
    if channels == 1:
        image = image.convert("L")
    size = (input_shape[1], input_shape[0])
    if size != image.size or crop_box != (0, 0, *size):
        image = image.resize(size, Image.Resampling.BILINEAR, box=crop_box)
    return np.asarray(image).reshape(*input_shape, channels)
