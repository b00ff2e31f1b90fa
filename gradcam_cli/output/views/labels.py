"""Numbers and places of slices and frames, and their labels in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.output.text_fitting import fit_line
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform

LABEL_SIZE = 7.0
"""Size of a label, in points."""
INSET = 0.03
"""Distance of a label from the corner, in inches."""


def picture_numbers(length: int, at_most: int, peak: int | None = None) -> list[int]:
    """Return the numbers of at most `at_most` slices or frames of `length`: the first, the last and evenly between.

    The one that is nearest to `peak` is moved to it.
    """
    numbers = [int(number) for number in np.linspace(0, length - 1, min(length, at_most)).round()]
    if peak is not None:
        nearest = min(range(len(numbers)), key=lambda n: abs(numbers[n] - peak))
        numbers[nearest] = peak
    return numbers


def place_label(shown: Shown, axis: int, number: int) -> str:
    """Return the number of a slice or frame and its distance from the first, if known: `40 (200 mm)`, `12 (0.48 s)`."""
    step, unit = shown.spacing[axis], "s" if shown.space.kind == "film" and axis == 0 else "mm"
    return f"{number} ({number * step:.4g} {unit})" if step else str(number)


def picture_label(shown: Shown, number: int, width: float) -> str:
    """Return the label of a slice or frame along the first axis: its place, and whether it contains the peak.

    Args:
        shown: a volume or a film, and its map.
        number: of the slice or frame.
        width: of the picture, in inches; what does not fit into it is left out, but not the number.
    """
    peak = " · peak" if shown.peak and number == shown.place[0] else ""
    labels = (f"{place_label(shown, 0, number)}{peak}", f"{number}{peak}", str(number))
    free = width - 2 * INSET
    return next((label for label in labels if fit_line(label, free, LABEL_SIZE) == label), labels[-1])


def write_label(axes: Axes, x: float, y: float, text: str, transform: Transform | None = None) -> None:
    """Write a label into a picture, at the right of and below its upper left corner: white with a black edge.

    Args:
        axes: of the picture.
        x: the corner.
        y: the corner.
        text: the label.
        transform: of the corner's coordinates; by default those of the data.
    """
    from matplotlib.patheffects import withStroke
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None  # noqa: S101
    shift = ScaledTranslation(INSET, -INSET, figure.dpi_scale_trans)
    label = axes.text(x, y, text, va="top", ha="left", color="white", fontsize=LABEL_SIZE, parse_math=False)
    label.set_transform((transform or axes.transData) + shift)
    label.set_path_effects([withStroke(linewidth=2, foreground="black")])
