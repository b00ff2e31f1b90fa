"""Boxes of detectors: from the numbers of a model to pixels of the image, and their outline in a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.images.box import Box, clip_to_image

OUTLINE = ((0, 0, 0), (255, 255, 255), (0, 0, 0))
"""Colors of the lines of an outline, from the outside: they are seen on any picture and any color map."""
LINES_PER_SIDE = 300
"""A line takes this part of the shorter side of the picture, at least a pixel."""


def to_image_box(numbers: np.ndarray, box_format: str, crop_box: Box, input_shape: Sequence[int]) -> Box:
    """Return a box in whole pixels of the image.

    Args:
        numbers: (4,), as a model writes the box.
        box_format: a name in `network.target.BOX_FORMATS`.
        crop_box: the part of the image that the model input shows.
        input_shape: (h, w) of the model input.

    Raises:
        InputError: a number is NaN or infinite, or the box is empty.
    """
    h, w = input_shape
    a, b, c, d = (float(number) for number in numbers)
    name = box_format.removeprefix("rel_")
    if name == "yxyx":
        a, b, c, d = b, a, d, c
    elif name.endswith("xywh"):
        left, top = (a - c / 2, b - d / 2) if name == "center_xywh" else (a, b)
        a, b, c, d = left, top, left + c, top + d
    scale_x, scale_y = (1.0, 1.0) if box_format.startswith("rel_") else (1 / w, 1 / h)
    width, height = crop_box.x1 - crop_box.x0, crop_box.y1 - crop_box.y0
    x0, x1 = (crop_box.x0 + x * scale_x * width for x in (a, c))
    y0, y1 = (crop_box.y0 + y * scale_y * height for y in (b, d))
    if not np.isfinite((x0, y0, x1, y1)).all() or x1 <= x0 or y1 <= y0:
        listed = ", ".join(f"{number:.4g}" for number in numbers)
        raise InputError(
            f"the box of the best anchor, {listed} as {box_format}, is empty or not finite",
            "--target detection:FORMAT names how the model writes its boxes; --target detection draws none",
        )
    limit = 1e6
    return Box(*(round(min(max(value, -limit), limit)) for value in (x0, y0, x1, y1)))


def draw_box(pixels: np.ndarray, box: Box) -> np.ndarray:
    """Draw the outline of a box into an image (H, W, 3) uint8, in place, and return it; parts outside are left out."""
    H, W = pixels.shape[:2]
    thickness = max(1, min(H, W) // LINES_PER_SIDE)
    for i, color in enumerate(OUTLINE):
        inset = (i - 1) * thickness
        outer = Box(box.x0 + inset, box.y0 + inset, box.x1 - inset, box.y1 - inset)
        for edge in _edges(outer, thickness):
            x0, y0, x1, y1 = clip_to_image(edge, (H, W))
            pixels[y0 : max(y0, y1), x0 : max(x0, x1)] = color
    return pixels


def _edges(box: Box, thickness: int) -> tuple[Box, ...]:
    x0, y0, x1, y1 = box
    return (
        Box(x0, y0, x1, y0 + thickness),
        Box(x0, y1 - thickness, x1, y1),
        Box(x0, y0, x0 + thickness, y1),
        Box(x1 - thickness, y0, x1, y1),
    )
