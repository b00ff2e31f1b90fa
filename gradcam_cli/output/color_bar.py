"""The color bar of a map."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.images.box import Box
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.render_options import RenderOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLOSE = 0.93
"""Labels above this fraction of the bar would touch that of its end."""


class ColorBar(NamedTuple):
    """The scale of the colors of a map.

    Attributes:
        end: the value at the upper end of the bar, in the units of the map; 0 for a map that is zero everywhere.
        limit: the value from which on the color is the last one.
        label: the quantity and its unit.
        options: how the map is drawn.
        end_label: the label of the upper end; by default `end`.
        largest: the value of which the levels of the contours are fractions; by default `end`.
    """

    end: float
    limit: float
    label: str
    options: RenderOptions
    end_label: str | None = None
    largest: float | None = None


def draw_color_bar(axes: Axes, bar: ColorBar, backgrounds: tuple[int, int] = (0, 255)) -> None:
    """Draw the colors of the values from 0 to the end, as they appear over two grays, and lines at contour levels.

    Args:
        axes: empty axes.
        bar: the scale; its end is not 0.
        backgrounds: the grays under the left and the right half, 0..255.
    """
    values = np.linspace(1, 0, 256, dtype=np.float32)[:, np.newaxis].repeat(2, axis=1)
    pixels = np.tile(np.array(backgrounds, np.uint8)[np.newaxis, :, np.newaxis], (256, 1, 3))
    options = replace(bar.options, background="photo", contours=())
    pixels = overlay(pixels, values, Box(0, 0, 2, 256), options, min(bar.limit / bar.end, 1.0))
    axes.imshow(pixels, aspect="auto", extent=(0, 1, 0, bar.end), interpolation="nearest")
    for level in bar.options.contours:
        y = level * (bar.end if bar.largest is None else bar.largest)
        for width, color in ((2.4, "black"), (1.2, "white")):
            axes.plot([0, 1], [y, y], color=color, linewidth=width, scalex=False, scaley=False)
    middle = bar.end / 2 if bar.limit > CLOSE * bar.end else bar.limit
    ends = f"{bar.end:.3g}" if bar.end_label is None else bar.end_label
    axes.set_xticks([])
    axes.set_yticks([0, middle, bar.end], ["0", f"{middle:.3g}" if bar.end_label is None else "", ends])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.tick_params(labelsize=7, length=2, pad=2)
    axes.set_ylabel(bar.label, fontsize=7, parse_math=False)
