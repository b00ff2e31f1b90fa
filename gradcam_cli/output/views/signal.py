"""A signal as a line colored by its map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.images.box import clip_to_image
from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.figure_files import figure_pixels
from gradcam_cli.output.figures import COLOR_BAR_MARGIN, COLOR_BAR_WIDTH
from gradcam_cli.output.page import GAP, Page
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH, HEIGHT, CHANNEL_HEIGHT, MAX_BAR_HEIGHT = 9.0, 2.6, 0.95, 4.5
"""Width of a figure with its color bar; least height of its lines, height of one of many, and of the bar; in inches."""
LEFT, AXIS_HEIGHT = 0.65, 0.42
MAX_CHANNELS = 12
"""Channels that are drawn."""
PANEL_SHAPE, PANEL_DPI = (0.5, 1.0), 100
"""Height and width of a panel per side, of a signal with few channels; and the resolution that line widths refer to."""
COLUMNS_PER_INCH = 150
"""Columns of a line; longer signals are thinned to the smallest and the largest value of each column."""
LINE, THINNEST, THICKEST, CASING = 0.8, 1.2, 3.2, 1.2
"""Widths in points: of the line without a map, of values of 0 and 1 of the map, and of the edge around the latter."""
LINE_COLOR, OUTSIDE_COLOR = "0.35", "0.92"


def image_panel(shown: Shown, side: int) -> np.ndarray:
    """Return the signal as gray lines, (h, w, 3) uint8 with a longer side of `side` pixels."""
    return _panel(replace(shown, peak=None), side, RenderOptions())


def map_panel(shown: Shown, side: int, render: RenderOptions) -> np.ndarray:
    """Return the signal as lines colored by the map, of the size of `image_panel`."""
    return _panel(shown, side, render)


def _panel(shown: Shown, side: int, render: RenderOptions) -> np.ndarray:
    from matplotlib.figure import Figure

    count = min(shown.pixels.shape[1], MAX_CHANNELS)
    height, width = side * max(PANEL_SHAPE[0], min(1, count / MAX_CHANNELS)), side
    figure = Figure(figsize=(width / PANEL_DPI, height / PANEL_DPI), dpi=PANEL_DPI)
    for channel in range(count):
        axes = figure.add_axes((0.01, 1 - (channel + 1) / count, 0.98, 1 / count))
        axes.axis("off")
        draw_channel(axes, shown, channel, render)
    return figure_pixels(figure)


def figure(shown: Shown, heading: Sequence[str], bar: ColorBar, render: RenderOptions) -> Figure:
    """Return a figure: the channels as lines colored by the map over time, and the color bar.

    The colors are those of the color map without a background: `opacity`, `blend`, `background` and `contours` do not
    apply. The width of the line follows the map as well.
    """
    channels = shown.pixels.shape[1]
    count = min(channels, MAX_CHANNELS)
    note = [] if channels <= count else [f"the first {count} of {channels} channels"]
    height = max(HEIGHT, count * CHANNEL_HEIGHT)
    page = Page(WIDTH, height + AXIS_HEIGHT, [*heading, *note], render.dpi)
    for channel in range(count):
        bottom = AXIS_HEIGHT + GAP + height * (1 - (channel + 1) / count)
        axes = page.axes(LEFT, bottom, WIDTH - LEFT - COLOR_BAR_MARGIN, height / count)
        draw_channel(axes, shown, channel, render)
        _label(axes, shown, channel, count)
    if bar.end:
        options = replace(bar.options, opacity=1.0, blend="constant", contours=())
        shown_height = min(height, MAX_BAR_HEIGHT)
        bottom = AXIS_HEIGHT + GAP + height - shown_height + 0.06
        box = (WIDTH - COLOR_BAR_MARGIN + GAP, bottom, COLOR_BAR_WIDTH, shown_height - 0.12)
        draw_color_bar(page.axes(*box), bar._replace(options=options))
    return page.figure


def draw_channel(axes: Axes, shown: Shown, channel: int, render: RenderOptions) -> None:
    """Draw one channel: a gray line, over it the parts in the crop in the colors of their values of the map."""
    from matplotlib.collections import LineCollection

    step, length = shown.spacing[0] or 1.0, len(shown.heatmap)
    columns = int(axes.get_window_extent().width / axes.figure.dpi * COLUMNS_PER_INCH)
    places, values, weights = thin_out(shown.pixels[:, channel], shown.heatmap, columns)
    times = places * step
    axes.plot(times, values, color=LINE_COLOR, linewidth=LINE)
    ((start, stop),) = clip_to_image(shown.crop_box, (length,)).intervals
    for ends in ((0, start), (stop - 1, length - 1)):
        if ends[1] > ends[0]:
            axes.axvspan(ends[0] * step, ends[1] * step, color=OUTSIDE_COLOR, linewidth=0, zorder=0)
    inside = (places >= start) & (places < stop)
    if shown.peak:
        strength = np.minimum(weights[inside] / shown.limit, 1)
        colors = color_table(render.cmap)[np.round(255 * strength).astype(int)] / 255
        widths = THINNEST + (THICKEST - THINNEST) * strength
        lines = _pieces(np.stack([times, values], axis=1))[inside]
        for extra, paint in ((CASING * strength, LINE_COLOR), (0, colors)):
            axes.add_collection(LineCollection(list(lines), colors=paint, linewidths=widths + extra, capstyle="round"))
    axes.set_xlim(0, max(length - 1, 1) * step)
    axes.margins(y=0.12)


def _pieces(points: np.ndarray) -> np.ndarray:
    """Return the part of a line that belongs to each of its points: to the middle of its neighbors, (n, 3, 2)."""
    middles = (points[:-1] + points[1:]) / 2
    return np.stack([np.vstack([points[:1], middles]), points, np.vstack([middles, points[-1:]])], axis=1)


def thin_out(values: np.ndarray, heatmap: np.ndarray, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the places, values and map of the points of a line: all of them, or two for each column.

    The two are the smallest and the largest value of the column, in their order, with the largest value of its map: no
    spike is lost, neither of the signal nor of the map.

    Args:
        values: (T,).
        heatmap: (T,).
        columns: number of columns.
    """
    length = len(values)
    if length <= 2 * columns:
        return np.arange(length), values, heatmap
    starts = np.linspace(0, length, columns, endpoint=False).astype(int)
    stops = [*starts[1:], length]
    ends = [
        sorted((start + int(values[start:stop].argmin()), start + int(values[start:stop].argmax())))
        for start, stop in zip(starts, stops, strict=True)
    ]
    places = np.array(ends).ravel()
    return places, values[places], np.maximum.reduceat(heatmap, starts).repeat(2)


def _label(axes: Axes, shown: Shown, channel: int, count: int) -> None:
    """Write the channel at the left, and the time below the last one."""
    from matplotlib.ticker import MaxNLocator

    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.yaxis.set_major_locator(MaxNLocator(3 if count > 2 else 5))
    if count > 1:
        axes.set_ylabel(f"channel {channel + 1}" if count <= 6 else str(channel + 1), fontsize=8)
    if channel < count - 1:
        axes.tick_params(labelbottom=False)
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(bottom=False)
    else:
        axes.set_xlabel("time (s)" if shown.spacing[0] else "sample", fontsize=8)
