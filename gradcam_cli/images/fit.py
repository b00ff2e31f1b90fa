"""Fitting an image to the model input by squashing, cropping or padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

FIT_MODES = ("squash", "crop", "pad")
CROP_MARGIN = 256 / 224
"""Standard ImageNet evaluation: resize the shorter side to 256, then crop the central 224x224."""


class Box(NamedTuple):
    """A rectangle of pixels: columns x0 to x1 and rows y0 to y1, ends excluded."""

    x0: int
    y0: int
    x1: int
    y1: int


def crop_box_for(image_shape: tuple[int, int], input_shape: tuple[int, int], fit: str) -> Box:
    """Return the part of an image that is resized to the model input, in integer pixels.

    Args:
        image_shape: (H, W) of the image.
        input_shape: (h, w) of the model input.
        fit: `squash` uses the whole image and ignores its aspect ratio; `crop` uses the center after
            scaling the shorter side to 256/224 of the input; `pad` uses the whole image with bars,
            so that the box extends beyond the image.
    """
    (H, W), (h, w) = image_shape, input_shape
    if fit == "squash":
        return Box(0, 0, W, H)
    scale = min(H / h, W / w) / CROP_MARGIN if fit == "crop" else max(H / h, W / w)
    height, width = max(round(h * scale), 1), max(round(w * scale), 1)
    x0, y0 = (W - width) // 2, (H - height) // 2
    return Box(x0, y0, x0 + width, y0 + height)


def clip_to_image(crop_box: Box, shape: tuple[int, int]) -> Box:
    """Return the part of the box inside an image of (H, W) pixels."""
    H, W = shape
    return Box(max(crop_box.x0, 0), max(crop_box.y0, 0), min(crop_box.x1, W), min(crop_box.y1, H))


def part_of_box(box: Box, edges: Sequence[tuple[float, float]], shape: tuple[int, int]) -> Box:
    """Return the part of a box that rows and columns of the model input show, in integer pixels.

    Args:
        box: the part of the image that the model input shows.
        edges: (start, stop) in rows of the model input, and in its columns; it may extend beyond it.
        shape: (h, w) of the model input.
    """
    (rows, columns), (h, w), (height, width) = edges, shape, (box.y1 - box.y0, box.x1 - box.x0)
    x0, x1 = (box.x0 + round(x * width / w) for x in columns)
    y0, y1 = (box.y0 + round(y * height / h) for y in rows)
    return Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))


PADDING_COLOR = (124, 116, 104)
"""ImageNet's mean RGB color, rounded; about zero after `caffe` or `torch` preprocessing."""


def resize_to_input(pixels: np.ndarray, crop_box: Box, input_shape: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Crop or pad an image to a box and resize it bilinearly to the model input.

    Args:
        pixels: (H, W, 3) uint8.
        crop_box: from `crop_box_for`.
        input_shape: (h, w).
        channels: 3 for RGB, or 1 for luminance (ITU-R 601).

    Returns:
        (h, w, channels) uint8.
    """
    image, crop_box = _padded(Image.fromarray(pixels), crop_box, PADDING_COLOR)
    if channels == 1:
        image = image.convert("L")
    return np.asarray(_resized(image, crop_box, input_shape)).reshape(*input_shape, channels)


def resize_bands(values: np.ndarray, crop_box: Box, input_shape: tuple[int, int]) -> np.ndarray:
    """Crop or pad an image of any bands to a box and resize it bilinearly to the model input.

    Outside the image a band has its mean.

    Args:
        values: (H, W, k) float32.
        crop_box: from `crop_box_for`.
        input_shape: (h, w).

    Returns:
        (h, w, k) float32.
    """
    resized = np.empty((*input_shape, values.shape[2]), np.float32)
    for i in range(values.shape[2]):
        band = np.ascontiguousarray(values[:, :, i])
        padded, box = _padded(Image.fromarray(band), crop_box, float(band.mean(dtype=np.float64)))
        resized[:, :, i] = np.asarray(_resized(padded, box, input_shape))
    return resized


def _padded(image: Image.Image, crop_box: Box, color: float | tuple[int, ...]) -> tuple[Image.Image, Box]:
    """Return an image that contains a box, filled up with a color, and the box in it."""
    if clip_to_image(crop_box, (image.height, image.width)) == crop_box:
        return image, crop_box
    padded = Image.new(image.mode, (crop_box.x1 - crop_box.x0, crop_box.y1 - crop_box.y0), color)
    padded.paste(image, (-crop_box.x0, -crop_box.y0))
    return padded, Box(0, 0, *padded.size)


def _resized(image: Image.Image, box: Box, input_shape: tuple[int, int]) -> Image.Image:
    """Return a part of an image at the size (h, w) of the model input; without a copy if it has this size."""
    size = (input_shape[1], input_shape[0])
    return image if size == image.size and box == (0, 0, *size) else image.resize(size, Image.Resampling.BILINEAR, box)
