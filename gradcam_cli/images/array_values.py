"""Arrays as pictures: their axes, and which of their values is white."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradcam_cli.errors import InputError

AMBIGUOUS = (1.0, 2.0)
"""Float images whose largest value lies above the first number, up to the second, may be in 0..1 or in 0..255."""
PICTURE_CHANNELS = (1, 3, 4)


def as_image_array(array: np.ndarray, channels: int | None) -> np.ndarray:
    """Return an array as (H, W, k).

    Args:
        array: (H, W), (H, W, k) or (1, H, W, k) of numbers.
        channels: of the model input, or None for any number. For 1 and 3, k may be one of `PICTURE_CHANNELS`.

    Raises:
        InputError: it has other axes, another k, no pixels, or no numbers.
    """
    shape = array.shape
    allowed = None if channels is None else PICTURE_CHANNELS if channels in (1, 3) else (channels,)
    array = one_of_batch(array, 3)
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim == 3 and 0 not in shape and (allowed is None or array.shape[2] in allowed):
        return array
    raise InputError(f"expected an array {_expected(channels)}, got {shape}", _shape_hint(array.shape, allowed or ()))


def one_of_batch(array: np.ndarray, num_axes: int) -> np.ndarray:
    """Return an array of numbers, without the axis of a batch of one.

    Args:
        array: any axes.
        num_axes: those of one input with its channels; an array of one axis more is a batch.

    Raises:
        InputError: it has no numbers or no elements, or is a batch of several inputs.
    """
    if array.dtype.kind not in "biuf":
        raise InputError(f"expected an array of numbers, got {array.dtype}")
    if array.ndim != num_axes + 1:
        return array
    if len(array) != 1:
        raise InputError(f"expected one image, got a batch {array.shape}", "explain_many explains a batch")
    one: np.ndarray = array[0]
    return one


def _expected(channels: int | None) -> str:
    if channels is None:
        return "(H, W, bands)"
    return "(H, W, 3), (H, W, 4) or (H, W)" if channels in (1, 3) else f"(H, W, {channels})"


def _shape_hint(shape: Sequence[int], allowed: Sequence[int]) -> str | None:
    if len(shape) != 3 or 0 in shape:
        return None
    if shape[0] in allowed and shape[0] > 1:
        return "the channels come first: give np.moveaxis(array, -3, -1)"
    return "give one image of a batch, or the batch with its channels, (n, H, W, 1), to explain_many"


def white_of(values: np.ndarray) -> int:
    """Return which value of float pictures is white: 1 or 255, by their largest value.

    Raises:
        InputError: a value is negative, infinite, NaN or above 255, or the largest one lies in `AMBIGUOUS`.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite((low, high)).all():
        raise InputError("expected finite pixel values, got NaN or infinity")
    if low < 0 or high > 255:
        preprocessed = "give the image before its preprocessing, which explain applies"
        hint = preprocessed if low < 0 else "max_value gives the value of white"
        raise InputError(f"expected float values in 0..1 or 0..255, got {low:g}..{high:g}", hint)
    if AMBIGUOUS[0] < high <= AMBIGUOUS[1]:
        raise InputError(
            f"expected float values in 0..1 or 0..255, got {low:g}..{high:g}, which may be either",
            "max_value=255 reads them as 0..255; clip them for 0..1",
        )
    return 1 if high <= AMBIGUOUS[0] else 255


def to_pixels(array: np.ndarray, white: int | None) -> np.ndarray:
    """Convert pictures to uint8.

    Args:
        array: numbers of any shape; uint8 is copied, because a program may reuse its array for the next image.
        white: the value that becomes 255.

    Raises:
        InputError: a value is negative, infinite, NaN or above `white`, or integers have no value of white.
    """
    if array.dtype == np.uint8:
        return array.copy()
    if white is None:
        raise InputError(
            f"expected an array of uint8 or float, got {array.dtype}",
            "max_value gives the value of white; for values of 0..255, give array.astype(np.uint8)",
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= white):
        raise InputError(
            f"expected pixel values in 0..{white}, got {low:g}..{high:g}", "max_value gives the value of white"
        )
    if array.shape[-1] == 4 and white == 255 and array.dtype.kind == "f" and array[..., 3].max() <= 1:
        raise InputError("expected colors and opacity in one range, got colors of 0..255 and an opacity of 0..1")
    pixels: np.ndarray = np.round(array.astype(np.float32) * np.float32(255 / white)).astype(np.uint8)
    return pixels
