"""The slices of a volume, or the frames of a film, with their maps: in one picture, and as a film."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.output.animations import encode_animation, encode_mp4
from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.figures import COLOR_BAR_MARGIN, COLOR_BAR_WIDTH
from gradcam_cli.output.page import GAP, Page
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import VIEWS
from gradcam_cli.output.views.labels import picture_label, picture_numbers, write_label
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH, MAX_CELL, MAX_BAR_HEIGHT, SPACE = 9.0, 2.6, 4.5, 0.03
"""Width of a montage with its color bar, longest side of a picture, height of the bar, and gaps, in inches."""
MIN_WIDTH = 3.5
"""Least width of a montage without its color bar, in inches."""
MAX_PICTURES = 64
"""Pictures of a montage."""
ASPECT = 4 / 3
"""Width per height of a montage, about."""
GIF_SIDE, MP4_SIDE = 480, 960
"""Longest side of a film, in pixels."""
MAX_GIF_FRAMES = 300
"""Frames of a GIF file."""
SECONDS = 0.1
"""Duration of a slice, and of a frame of a film with an unknown rate."""


def montage(shown: Shown, heading: Sequence[str], bar: ColorBar, render: RenderOptions) -> Figure:
    """Return a figure with at most `MAX_PICTURES` slices or frames with their maps, that of the peak among them.

    Args:
        shown: a volume or a film, and its map.
        heading: the name of the input, and what the map shows, a line each.
        bar: the color bar; none is drawn if its end is 0.
        render: how maps are drawn.
    """
    length = len(shown.heatmap)
    numbers = picture_numbers(length, MAX_PICTURES, shown.place[0])
    H, W = _picture(shown, 0, MP4_SIDE, render).shape[:2]
    columns = _columns(len(numbers), W / H)
    rows = -(-len(numbers) // columns)
    free = WIDTH - COLOR_BAR_MARGIN - 2 * GAP
    scale = min(((free + SPACE) / columns - SPACE) / W, MAX_CELL / max(H, W))
    w, h = scale * W, scale * H
    width, height = columns * (w + SPACE) - SPACE, rows * (h + SPACE) - SPACE
    note = [] if len(numbers) == length else [f"{len(numbers)} of {length} {NOUNS[shown.space.kind]}"]
    page_width = max(width, MIN_WIDTH) + GAP + COLOR_BAR_MARGIN
    page = Page(page_width, height + GAP, [*heading, *note], render.dpi)
    side = max(round(max(w, h) * render.dpi), 1)
    for place, number in enumerate(numbers):
        row, column = divmod(place, columns)
        axes = page.axes(GAP + column * (w + SPACE), GAP + (rows - 1 - row) * (h + SPACE), w, h)
        axes.imshow(_picture(shown, number, side, render), aspect="auto")
        axes.axis("off")
        write_label(axes, 0, 1, picture_label(shown, number, w), axes.transAxes)
    if bar.end:
        shown_height = min(height, MAX_BAR_HEIGHT)
        inset = min(0.06, shown_height / 8)
        left, bottom = page.width - COLOR_BAR_MARGIN + GAP, GAP + height - shown_height + inset
        draw_color_bar(page.axes(left, bottom, COLOR_BAR_WIDTH, shown_height - 2 * inset), bar)
    return page.figure


def _columns(count: int, aspect: float) -> int:
    """Return the number of columns: that of a montage of about `ASPECT`, or one more or less if the rows are fuller."""
    ideal = round(math.sqrt(count * ASPECT / aspect))
    return min((max(min(ideal + more, count), 1) for more in (0, -1, 1)), key=lambda columns: -count % columns)


NOUNS = {"volume": "slices", "film": "frames"}
"""What the parts of an input along its first axis are called."""


def encode_film(shown: Shown, render: RenderOptions, image_format: str = "gif", comment: str = "") -> bytes:
    """Return a film of all slices or frames with their maps; equal maps give equal bytes.

    A GIF file has at most `MAX_GIF_FRAMES` frames: longer films are thinned out evenly and keep their duration. An MP4
    file has all frames.

    Args:
        shown: a volume or a film, and its map.
        render: how maps are drawn.
        image_format: `mp4`, which requires PyAV; `gif` for any other format.
        comment: ASCII text that is saved with the film.

    Raises:
        UsageError: PyAV is not installed.
    """
    length = len(shown.heatmap)
    seconds = (shown.spacing[0] if shown.space.kind == "film" else 0) or SECONDS
    if image_format == "mp4":
        return encode_mp4(_pictures(shown, range(length), MP4_SIDE, render), seconds, comment)
    numbers = picture_numbers(length, MAX_GIF_FRAMES)
    pictures = _pictures(shown, numbers, GIF_SIDE, render)
    return encode_animation(pictures, "gif", seconds * length / len(numbers), comment)


def _pictures(shown: Shown, numbers: Sequence[int], side: int, render: RenderOptions) -> Iterator[np.ndarray]:
    yield from (_picture(shown, number, side, render) for number in numbers)


def _picture(shown: Shown, number: int, side: int, render: RenderOptions) -> np.ndarray:
    draw = VIEWS[shown.space.kind].slice_panel
    if draw is None:
        raise ValueError(f"a {shown.space.kind} has no slices or frames")
    return draw(shown, 0, number, side, render)
