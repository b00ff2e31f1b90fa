"""Annotated objects, and the masks of their boxes and segmentations."""

from __future__ import annotations

from functools import reduce
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gradcam_cli.errors import InputError

MAX_COORDINATE = 2.0**20
"""Limit of polygon coordinates in pixels: Pillow draws with 32-bit integers."""


class RLE(NamedTuple):
    """A run-length encoded mask, as in COCO.

    Attributes:
        size: (H, W) of the image.
        counts: lengths of alternating runs outside and inside, column after column; their sum is H * W.
    """

    size: tuple[int, int]
    counts: list[int]


Segmentation = list[list[float]] | RLE | None
"""Polygons, each x, y, x, y ...; or a mask; or None if the object has only a box."""


class Annotation(NamedTuple):
    """An object in an image.

    Attributes:
        file: path of the image in the annotation file.
        category: name of the object's class.
        category_id: COCO's id of the class, or None.
        box: x0, y0, x1, y1 in pixels of the image, the ends not included; of a signal x0, x1, and of a volume or film
            x0, y0, z0, x1, y1, z1.
        segmentation: the object's shape.
    """

    file: str
    category: str
    category_id: int | None
    box: tuple[float, ...]
    segmentation: Segmentation = None


def annotation_mask(annotation: Annotation, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels whose center is inside the segmentation, or inside the box if there is none.

    Args:
        annotation: the object; parts outside the image are clipped.
        shape: (H, W) of the image, or any other spatial shape.

    Returns:
        (H, W) bool; all False for an object outside the image, or one that contains no pixel center.

    Raises:
        InputError: the segmentation is a mask of another shape, or the box has another number of axes.
    """
    if len(annotation.box) != 2 * len(shape):
        raise InputError(
            f"annotation of {annotation.file}: expected a box of {2 * len(shape)} numbers, got {len(annotation.box)}"
        )
    segmentation = annotation.segmentation
    if segmentation is None:
        return _box_mask(annotation.box, shape)
    if not isinstance(segmentation, RLE):
        return _polygon_mask(segmentation, shape)
    if segmentation.size != tuple(shape):
        (H, W), (h, w) = shape, segmentation.size
        raise InputError(f"annotation of {annotation.file}: expected a mask of {W}x{H} pixels, got {w}x{h}")
    inside = np.arange(len(segmentation.counts)) % 2 == 1
    return np.repeat(inside, segmentation.counts).reshape(shape, order="F")


def _box_mask(box: tuple[float, ...], shape: tuple[int, ...]) -> np.ndarray:
    starts, stops = box[: len(shape)][::-1], box[len(shape) :][::-1]  # in the order of the axes
    centers = [np.arange(side) + 0.5 for side in shape]
    inside = [(a <= along) & (along < b) for a, along, b in zip(starts, centers, stops, strict=True)]
    mask: np.ndarray = reduce(np.logical_and.outer, inside)
    return mask


def _polygon_mask(polygons: list[list[float]], shape: tuple[int, ...]) -> np.ndarray:
    """Draw at double size, where pixel centers are the odd coordinates: Pillow draws at integer coordinates only."""
    H, W = shape
    image = Image.new("1", (2 * W, 2 * H))
    for polygon in polygons:
        points = np.rint(2 * np.clip(polygon, -MAX_COORDINATE, MAX_COORDINATE))
        ImageDraw.Draw(image).polygon(points.tolist(), fill=1)
    return np.asarray(image.resize((W, H), Image.Resampling.NEAREST))  # samples the odd coordinates
