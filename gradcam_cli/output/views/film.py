"""A film: the frame of the map's peak, and the map over time above a strip of frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.figures import COLOR_BAR_MARGIN, COLOR_BAR_WIDTH
from gradcam_cli.output.page import GAP, Page
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import image
from gradcam_cli.output.views.labels import picture_label, picture_numbers, write_label
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, CURVE_HEIGHT, MAX_SIDE = 9.0, 1.6, 3.0
"""Width of a figure with its color bar, height of the curve, and longest side of a frame, in inches."""
LEFT, AXIS_HEIGHT, LEGEND_HEIGHT = 0.55, 0.42, 0.22
FRAMES = 8
"""Frames of a strip."""
PORTRAIT = 0.75
"""Frames with a smaller width per height are all in one row; others in two."""
MEAN_COLOR, LARGEST_COLOR = "0.15", "0.6"


def image_panel(shown: Shown, side: int) -> np.ndarray:
    """Return the frame of the map's peak with a longer side of at most `side` pixels, (h, w, 3) uint8."""
    return image.image_panel(shown.slice(0, shown.place[0]), side)


def map_panel(shown: Shown, side: int, render: RenderOptions) -> np.ndarray:
    """Return the frame of the map's peak with its map, of the size of `image_panel`."""
    return slice_panel(shown, 0, shown.place[0], side, render)


def slice_panel(shown: Shown, axis: int, number: int, side: int, render: RenderOptions) -> np.ndarray:
    """Return one frame with its map, (h, w, 3) uint8 with a longer side of at most `side` pixels."""
    return image.map_panel(shown.slice(axis, number), side, render)


class Strip(NamedTuple):
    """The layout of a strip: its columns and rows, and the size of a frame in inches."""

    columns: int
    rows: int
    width: float
    height: float


def _layout(shown: Shown, count: int) -> Strip:
    """Return the layout of a strip of `count` frames: frames in one row, or in two if they would be small."""
    H, W = shown.heatmap.shape[1:]
    rows = 1 if W < PORTRAIT * H or count <= FRAMES // 2 else 2
    columns = -(-count // rows)
    width = (WIDTH - LEFT - COLOR_BAR_MARGIN - (columns - 1) * GAP) / columns
    scale = min(width / W, MAX_SIDE / max(H, W))
    return Strip(columns, rows, scale * W, scale * H)


def figure(shown: Shown, heading: Sequence[str], bar: ColorBar, render: RenderOptions) -> Figure:
    """Return a figure: the mean and the largest value of the map of each frame over time, above frames with maps.

    The figure of a single frame is that of an image.
    """
    if len(shown.heatmap) == 1:
        return image.figure(shown.slice(0, 0), heading, bar, render)
    numbers = picture_numbers(len(shown.heatmap), FRAMES, shown.place[0])
    strip = _layout(shown, len(numbers))
    strip_height = strip.rows * (strip.height + GAP)
    page = Page(WIDTH, LEGEND_HEIGHT + CURVE_HEIGHT + AXIS_HEIGHT + strip_height, heading, render.dpi)
    width = WIDTH - LEFT - COLOR_BAR_MARGIN
    _draw_curve(page.axes(LEFT, strip_height + AXIS_HEIGHT, width, CURVE_HEIGHT), shown, numbers, bar)
    for place, number in enumerate(numbers):
        row, column = divmod(place, strip.columns)
        left, bottom = LEFT + column * (strip.width + GAP), (strip.rows - 1 - row) * (strip.height + GAP) + GAP
        axes = page.axes(left, bottom, strip.width, strip.height)
        axes.imshow(slice_panel(shown, 0, number, max(int(render.dpi * max(strip[2:])), 1), render), aspect="auto")
        axes.axis("off")
        write_label(axes, 0, 1, picture_label(shown, number, strip.width), axes.transAxes)
    if bar.end:
        left = WIDTH - COLOR_BAR_MARGIN + GAP
        height = min(strip_height - GAP, MAX_SIDE)
        draw_color_bar(page.axes(left, strip_height - height + 0.06, COLOR_BAR_WIDTH, height - 0.12), bar)
    return page.figure


def _draw_curve(axes: Axes, shown: Shown, numbers: Sequence[int], bar: ColorBar) -> None:
    """Draw the mean and the largest value of the map of each frame, and a mark at each frame of the strip."""
    scale = bar.end if bar.largest is None else bar.largest
    step = shown.spacing[0]
    times = np.arange(len(shown.heatmap)) * (step or 1.0)
    for values, color, label in (
        (shown.heatmap.max(axis=(1, 2)), LARGEST_COLOR, "largest value of the frame"),
        (shown.heatmap.mean(axis=(1, 2), dtype=np.float64), MEAN_COLOR, "mean of the frame"),
    ):
        axes.plot(times, values * scale, color=color, linewidth=1.4, label=label)
    for number in numbers:
        axes.axvline(times[number], color="0.85", linewidth=0.8, zorder=0)
    axes.set_xlim(times[0], times[-1])
    axes.set_ylim(0, scale * 1.05 or 1.0)
    axes.set_xlabel("time (s)" if step else "frame", fontsize=8)
    axes.set_ylabel(bar.label, fontsize=8, parse_math=False)
    axes.tick_params(labelsize=7)
    axes.legend(fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), frameon=False, ncols=2, borderpad=0)
    axes.spines[["top", "right"]].set_visible(False)
