"""The part of a photo that a network sees, as a rectangle in the photo's own pixels."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

FITS = ("squash", "crop", "pad")
CROP_MARGIN = 256 / 224
"""The usual ImageNet evaluation: the shorter side becomes 256, the central 224 are seen."""


class Box(NamedTuple):
    """A rectangle of pixels: columns x0 to x1 and rows y0 to y1, the ends not included."""

    x0: int
    y0: int
    x1: int
    y1: int


def view_of(photo_shape: tuple[int, int], input_shape: tuple[int, int], fit: str) -> Box:
    """Return the part of a photo that the network sees, in whole pixels.

    Args:
        photo_shape: (H, W) of the photo.
        input_shape: (h, w) of the network's input.
        fit: `squash`, the whole photo, its sides scaled apart; `crop`, the centre after the shorter
            side is scaled to 256/224 of the input; `pad`, the whole photo and bars beside it, so
            that the view reaches beyond the photo.
    """
    (H, W), (h, w) = photo_shape, input_shape
    if fit == "squash":
        return Box(0, 0, W, H)
    scale = min(H / h, W / w) / CROP_MARGIN if fit == "crop" else max(H / h, W / w)
    height, width = max(round(h * scale), 1), max(round(w * scale), 1)
    x0, y0 = (W - width) // 2, (H - height) // 2
    return Box(x0, y0, x0 + width, y0 + height)


def within(view: Box, shape: tuple[int, int]) -> Box:
    """Return the part of the view that lies in a photo of (H, W) pixels."""
    H, W = shape
    return Box(max(view.x0, 0), max(view.y0, 0), min(view.x1, W), min(view.y1, H))


PADDING = (124, 116, 104)
"""ImageNet's mean colour, rounded: what the network takes for nothing."""


def see(photo: np.ndarray, view: Box, input_shape: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Return what the network sees: the view of the photo, scaled bilinearly.

    Args:
        photo: (H, W, 3) uint8.
        view: from `view_of`.
        input_shape: (h, w).
        channels: 3, or 1 for a grayscale network.

    Returns:
        (h, w, channels) uint8.
    """
    image = Image.fromarray(photo)
    seen = within(view, photo.shape[:2])
    if seen != view:
        padded = Image.new("RGB", (view.x1 - view.x0, view.y1 - view.y0), PADDING)
        padded.paste(image, (-view.x0, -view.y0))
        image, view = padded, Box(0, 0, *padded.size)
    if channels == 1:
        image = image.convert("L")
    size = (input_shape[1], input_shape[0])
    if size != image.size or view != (0, 0, *size):
        image = image.resize(size, Image.Resampling.BILINEAR, box=view)
    return np.asarray(image).reshape(*input_shape, channels)
