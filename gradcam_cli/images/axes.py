"""The order of the axes of arrays, `--axes`, and the window of values, `--window`."""

from __future__ import annotations

import math

import numpy as np

from gradcam_cli.errors import InputError, UsageError

LETTERS = "TDHWC"
"""Time, depth, height, width and channels: the axes of a model input, in their order."""
INPUTS_OF_RANK = {1: "signals", 2: "images", 3: "volumes and films"}
"""The inputs of a model, by the number of its spatial axes."""
INPUT_OF_RANK = {1: "a signal", 2: "an image", 3: "a volume or film"}
"""One of them."""


def parse_axes(text: str) -> str:
    """Return the order of the axes of a file, in capitals: `CHW` for channels, rows, columns.

    Raises:
        UsageError: a letter is not one of `LETTERS`, or occurs twice.
    """
    axes = text.upper()
    if not axes or len(set(axes)) != len(axes) or not set(axes) <= set(LETTERS):
        raise UsageError(f"axes: expected an order of some of the letters {LETTERS}, such as CHW, got {text!r}")
    return axes


def parse_window(text: str) -> tuple[float, float]:
    """Return the center and the width of a window of values: `40,400` is -160 to 240.

    Raises:
        UsageError: the text is not two finite numbers, or the width is not positive.
    """
    try:
        center, width = (float(part) for part in text.split(","))
    except ValueError:
        center, width = math.nan, math.nan
    if not math.isfinite(center) or not math.isfinite(width) or width <= 0:
        raise UsageError(f"window: expected a center and a positive width such as 40,400, got {text!r}")
    return center, width


def require_axes_of(axes: str, rank: int) -> None:
    """Check that an order of axes has as many spatial axes as a model input.

    Raises:
        UsageError: it has another number.
    """
    if len(axes.replace("C", "")) != rank:
        raise UsageError(
            f"axes: expected {rank} of the letters TDHW for {INPUTS_OF_RANK[rank]}, and perhaps C, got {axes}"
        )


def arrange(stored: np.ndarray, axes: str | None, rank: int) -> tuple[np.ndarray, str]:
    """Return an array as (spatial axes..., k), and its kind.

    Args:
        stored: any axes.
        axes: their order, from `parse_axes`; None: the spatial axes in the order of the model's, then the channels, if
            there is one axis more. An array (T, H, W, 3) of uint8 is a film.
        rank: number of spatial axes of the model input.

    Returns:
        A view of the array with the axes T, D, H, W, C, and a key of `space.RANKS`: `film` if the axes name the time
        and there are three spatial ones.

    Raises:
        InputError: the array has another number of axes.
    """
    axes = axes or _default_axes(stored, rank)
    order = _order(stored.shape, axes, rank)
    kind = {1: "signal", 2: "image", 3: "film" if "T" in axes else "volume"}[rank]
    values = stored.transpose(order)
    return (values if "C" in axes else values[..., None]), kind


def arranged_shape(shape: tuple[int, ...], axes: str | None, rank: int) -> tuple[int, ...]:
    """Return the shape (spatial axes..., k) that `arrange` gives an array of a shape.

    Raises:
        InputError: as `arrange`.
    """
    axes = axes or spatial_axes(rank) + "C" * (len(shape) == rank + 1)
    arranged = tuple(shape[i] for i in _order(shape, axes, rank))
    return arranged if "C" in axes else (*arranged, 1)


def _default_axes(stored: np.ndarray, rank: int) -> str:
    if rank == 3 and stored.ndim == 4 and stored.shape[-1] == 3 and stored.dtype == np.uint8:
        return "THWC"
    return spatial_axes(rank) + "C" * (stored.ndim == rank + 1)


def spatial_axes(rank: int) -> str:
    """Return the letters of the spatial axes of an input, by their number."""
    return {1: "T", 2: "HW", 3: "DHW"}[rank]


def _order(shape: tuple[int, ...], axes: str, rank: int) -> list[int]:
    """Return the positions of the spatial axes in an array of a shape, then that of the channels if there is one."""
    if len(axes) != len(shape) or len(axes.replace("C", "")) != rank:
        spatial = ", ".join(spatial_axes(rank))
        expected = f"({spatial}{',' * (rank == 1)}) or ({spatial}, {'bands' if rank == 2 else 'channels'})"
        raise InputError(
            f"expected an array {expected}, got {shape}",
            f"the model takes {INPUTS_OF_RANK[rank]}; --axes gives the order of the axes, such as CHW",
        )
    return [axes.index(letter) for letter in LETTERS if letter in axes]
