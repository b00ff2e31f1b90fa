"""Where a thing is in a photo: its box and outline, and the pixels that they hold."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gradcam_cli.errors import InputError

MAX_COORDINATE = 2.0**20
"""Where polygons are cut off, in pixels from the photo's corner: Pillow draws with 32-bit integers."""


class RLE(NamedTuple):
    """A mask as run lengths, as COCO writes it.

    Attributes:
        size: (H, W) of the photo.
        counts: pixels outside, inside, outside ..., column after column; they sum to H * W.
    """

    size: tuple[int, int]
    counts: list[int]


Segmentation = list[list[float]] | RLE | None
"""Polygons, each x, y, x, y ...; or a mask; or None where only the box is known."""


class Annotation(NamedTuple):
    """A thing in a photo.

    Attributes:
        file: the photo, as the annotation file names it.
        category: the name of the thing's class.
        category_id: COCO's number of the class, or None.
        box: x0, y0, x1, y1 in the photo's pixels, the ends not included.
        segmentation: where the thing is within the box.
    """

    file: str
    category: str
    category_id: int | None
    box: tuple[float, float, float, float]
    segmentation: Segmentation = None


def annotation_mask(annotation: Annotation, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a thing: those whose centre lies in the outline, or in the box if there is none.

    Args:
        annotation: the thing; what reaches beyond the photo is cut off.
        shape: (H, W) of the photo.

    Returns:
        (H, W) bool; all False for a thing outside the photo, or one that holds no pixel's centre.

    Raises:
        InputError: the outline is a mask of another shape.
    """
    outline = annotation.segmentation
    if outline is None:
        return _box_mask(annotation.box, shape)
    if not isinstance(outline, RLE):
        return _polygon_mask(outline, shape)
    if outline.size != tuple(shape):
        (H, W), (h, w) = shape, outline.size
        raise InputError(f"annotation of {annotation.file}: expected a mask of {W}x{H} pixels, got {w}x{h}")
    inside = np.arange(len(outline.counts)) % 2 == 1
    return np.repeat(inside, outline.counts).reshape(shape, order="F")


def _box_mask(box: tuple[float, float, float, float], shape: tuple[int, int]) -> np.ndarray:
    y, x = (np.arange(side) + 0.5 for side in shape)
    x0, y0, x1, y1 = box
    return ((y0 <= y) & (y < y1))[:, None] & ((x0 <= x) & (x < x1))


def _polygon_mask(polygons: list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    """Draw at double size, where pixel centres are the odd points: Pillow knows whole points only."""
    H, W = shape
    image = Image.new("1", (2 * W, 2 * H))
    for polygon in polygons:
        points = np.rint(2 * np.clip(polygon, -MAX_COORDINATE, MAX_COORDINATE))
        ImageDraw.Draw(image).polygon(points.tolist(), fill=1)
    return np.asarray(image.resize((W, H), Image.Resampling.NEAREST))  # the odd points
