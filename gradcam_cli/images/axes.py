"""The order of the axes of arrays, `--axes`, and the window of values, `--window`."""

from __future__ import annotations

import math

import numpy as np

from gradcam_cli.errors import InputError, UsageError

LETTERS = "TDHWC"
"""Time, depth, height, width and channels: the axes of a model input, in their order."""


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


def arrange(stored: np.ndarray, axes: str | None, rank: int) -> tuple[np.ndarray, str]:
    """Return an array as (spatial axes..., k), and its kind.

    Args:
        stored: any axes.
        axes: their order, from `parse_axes`; None: the spatial axes in the order of the model's, then the channels, if
            there is one axis more.
        rank: number of spatial axes of the model input.

    Returns:
        A view of the array with the axes T, D, H, W, C, and a key of `space.RANKS`: `film` if the axes name the time
        and there are three spatial ones.

    Raises:
        InputError: the array has another number of axes.
    """
    if axes is None:
        axes = LETTERS[4 - rank : 4] if rank > 1 else "T"
        axes = axes + "C" if stored.ndim == rank + 1 else axes
    spatial = [letter for letter in LETTERS[:-1] if letter in axes]
    if len(axes) != stored.ndim or len(spatial) != rank:
        raise InputError(
            f"expected an array of {rank} spatial axes and perhaps channels, got {stored.shape}",
            "--axes names the axes of the array in their order, such as CHW",
        )
    order = [axes.index(letter) for letter in spatial]
    values = stored.transpose([*order, axes.index("C")] if "C" in axes else order)
    kind = {1: "signal", 2: "image", 3: "film" if "T" in spatial else "volume"}[rank]
    return (values if "C" in axes else values[..., None]), kind
