"""Fitting an image to the model input by squashing, cropping or padding."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.images.space import RANKS

IMAGE_FITS = ("squash", "crop", "pad")
"""Fits of a whole input, or of its center."""
FIT_MODES = ("auto", *IMAGE_FITS, "windows")
CROP_MARGIN = 256 / 224
"""Standard ImageNet evaluation: resize the shorter side to 256, then crop the central 224x224."""


def resolved_fit(fit: str, rank: int, kind: str | None = None) -> str:
    """Return the fit that `auto` stands for; it stays `auto` for volumes and films until the kind is known.

    Squashing changes the frequencies of a signal and the proportions of a body; a photo or a film is usually squashed
    in training, too.

    Args:
        fit: one of `FIT_MODES`.
        rank: number of spatial axes of the model input.
        kind: that of the input, a key of `space.RANKS`, or None.
    """
    if fit != "auto" or (rank == RANKS["volume"] and kind is None):
        return fit
    return "windows" if rank == RANKS["signal"] or kind == "volume" else "squash"


def crop_box_for(image_shape: Sequence[int], input_shape: Sequence[int], fit: str) -> Box:
    """Return the part of an image that is resized to the model input, in integer pixels.

    Args:
        image_shape: (H, W) of the image, or any other spatial shape.
        input_shape: (h, w) of the model input, with as many axes.
        fit: `squash` uses the whole image and ignores its aspect ratio; `crop` uses the center after
            scaling the shorter side to 256/224 of the input; `pad` uses the whole image with bars,
            so that the box extends beyond the image.
    """
    if fit == "squash":
        return Box.whole(image_shape)
    scales = [H / h for H, h in zip(image_shape, input_shape, strict=True)]
    scale = min(scales) / CROP_MARGIN if fit == "crop" else max(scales)
    lengths = [max(round(h * scale), 1) for h in input_shape]
    starts = [(H - length) // 2 for H, length in zip(image_shape, lengths, strict=True)]
    return Box.of((start, start + length) for start, length in zip(starts, lengths, strict=True))


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
    if size == image.size and box == (0, 0, *size):
        return image
    return image.resize(size, Image.Resampling.BILINEAR, (box.x0, box.y0, box.x1, box.y1))
