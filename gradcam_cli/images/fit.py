"""Fitting an input to the size of the model input by squashing, cropping, padding, or cutting out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from gradcam_cli.images.box import Box, Interval, clip_to_image
from gradcam_cli.images.space import RANKS, Space

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


def fit_box(space: Space, shape: Sequence[int], input_shape: Sequence[int], fit: str) -> Box:
    """Return the part of an input that the model input shows.

    Args:
        space: its kind; the frames of a film are chosen over all of its time, whatever the fit of a frame.
        shape: its spatial shape.
        input_shape: the spatial shape of the model input.
        fit: as for `crop_box_for`; or `windows`: all of the input at its own size, padded where the model's is larger.
    """
    if fit == "windows":
        lengths = [max(H, h) for H, h in zip(shape, input_shape, strict=True)]
        starts = [(H - length) // 2 for H, length in zip(shape, lengths, strict=True)]
        return Box.of((start, start + length) for start, length in zip(starts, lengths, strict=True))
    if space.kind == "film":
        return Box.of([(0, shape[0]), *crop_box_for(shape[1:], input_shape[1:], fit).intervals])
    return crop_box_for(shape, input_shape, fit)


def resize_to_input(pixels: np.ndarray, crop_box: Box, input_shape: Sequence[int], channels: int = 3) -> np.ndarray:
    """Crop or pad an image to a box and resize it bilinearly to the model input.

    Of a film, as many frames as the model takes are chosen at equal distances; frames are not blended.

    Args:
        pixels: (H, W, 3) uint8, or (T, H, W, 3) of a film.
        crop_box: from `fit_box`.
        input_shape: (h, w), or (t, h, w).
        channels: 3 for RGB, or 1 for luminance (ITU-R 601).

    Returns:
        (h, w, channels) uint8, or (t, h, w, channels).
    """
    if pixels.ndim == 4:
        (start, stop), *intervals = crop_box.intervals
        frames = (chosen_frames(stop - start, input_shape[0]) + start).clip(0, len(pixels) - 1)
        return np.stack([resize_to_input(pixels[i], Box.of(intervals), input_shape[1:], channels) for i in frames])
    image, crop_box = _padded(Image.fromarray(pixels), crop_box)
    if channels == 1:
        image = image.convert("L")
    return np.asarray(_resized(image, crop_box, input_shape)).reshape(*input_shape, channels)


def chosen_frames(T: int, t: int) -> np.ndarray:
    """Return the indices of the t of T frames that the model sees: the middle one of each t-th part of the film."""
    frames: np.ndarray = np.floor((np.arange(t) + 0.5) * T / t).astype(int)
    return frames


def resize_bands(values: np.ndarray, crop_box: Box, input_shape: Sequence[int]) -> np.ndarray:
    """Crop or pad an array to a box and resize it linearly to the model input, with smoothing if it becomes smaller.

    Outside the array a band has its mean.

    Args:
        values: (H, W, k) float32, or of any other number of spatial axes.
        crop_box: from `fit_box`.
        input_shape: (h, w), with as many axes.

    Returns:
        (h, w, k) float32.
    """
    if clip_to_image(crop_box, values.shape[:-1]) != crop_box:
        values, crop_box = _with_padding(values, crop_box), Box.whole(crop_box.shape)
    same = [box_side == side for box_side, side in zip(crop_box.shape, input_shape, strict=True)]
    resized = values[tuple(part if kept else slice(None) for part, kept in zip(crop_box.slices, same, strict=True))]
    for axis in reversed(range(len(same))):  # columns first, as Pillow does
        if not same[axis]:
            resized = _resize_axis(resized, axis, crop_box.intervals[axis], input_shape[axis])
    return np.ascontiguousarray(resized)


def _with_padding(values: np.ndarray, box: Box) -> np.ndarray:
    """Return the values in a box that extends beyond the array; outside, a band has its mean."""
    visible = clip_to_image(box, values.shape[:-1])
    padded = np.empty((*box.shape, values.shape[-1]), values.dtype)
    padded[:] = values.mean(axis=tuple(range(values.ndim - 1)), dtype=np.float64)
    pairs = zip(visible.intervals, box.intervals, strict=True)
    padded[tuple(slice(start - first, stop - first) for (start, stop), (first, _) in pairs)] = values[visible.slices]
    return padded


def _resize_axis(values: np.ndarray, axis: int, interval: Interval, length: int) -> np.ndarray:
    """Resize a part of an axis: Pillow resizes the height of an image that has all other axes as its width."""
    rows = np.moveaxis(values, axis, 0)
    flat = Image.fromarray(np.ascontiguousarray(rows, np.float32).reshape(len(rows), -1))
    part = (0, interval[0], flat.width, interval[1])
    resized = np.asarray(flat.resize((flat.width, length), Image.Resampling.BILINEAR, part))
    return np.moveaxis(resized.reshape(length, *rows.shape[1:]), 0, axis)


def _padded(image: Image.Image, crop_box: Box) -> tuple[Image.Image, Box]:
    """Return an image that contains a box, filled up with a color, and the box in it."""
    if clip_to_image(crop_box, (image.height, image.width)) == crop_box:
        return image, crop_box
    padded = Image.new(image.mode, (crop_box.x1 - crop_box.x0, crop_box.y1 - crop_box.y0), PADDING_COLOR)
    padded.paste(image, (-crop_box.x0, -crop_box.y0))
    return padded, Box(0, 0, *padded.size)


def _resized(image: Image.Image, box: Box, input_shape: Sequence[int]) -> Image.Image:
    """Return a part of an image at the size (h, w) of the model input; without a copy if it has this size."""
    size = (input_shape[1], input_shape[0])
    if size == image.size and box == (0, 0, *size):
        return image
    return image.resize(size, Image.Resampling.BILINEAR, (box.x0, box.y0, box.x1, box.y1))
