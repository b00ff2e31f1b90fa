"""Figures of a map: the image, the image under the map, what they show, and the color bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.page import GAP, Page
from gradcam_cli.output.text_fitting import renderable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_SIZE = 4.5
"""Longer side of a panel of a figure, in inches."""
MIN_PANEL_WIDTH, MIN_PANEL_HEIGHT = 2.2, 1.0
COLOR_BAR_WIDTH, COLOR_BAR_MARGIN = 0.14, 0.9
"""Width of a color bar, and of the bar with its labels, in inches."""
MAX_LABEL_LENGTH = 48
"""Characters of a label of an axis or a legend."""


def side_by_side_figure(
    image: np.ndarray, overlay_pixels: np.ndarray, heading: Sequence[str], bar: ColorBar, dpi: int = 150
) -> Figure:
    """Draw a matplotlib figure with the image on the left and the overlay on the right.

    Args:
        image: (h, w, 3) uint8, with a longer side of at most `PANEL_SIZE * dpi` pixels.
        overlay_pixels: (h, w, 3) uint8, from `colors.overlay`.
        heading: the name of the image, and what the map shows, a line each; longer lines are wrapped.
        bar: the color bar; none is drawn if its end is 0.
        dpi: dots per inch; the longer side of a panel is `PANEL_SIZE` inches.
    """
    H, W = image.shape[:2]
    width = max(PANEL_SIZE * min(1, W / H), MIN_PANEL_WIDTH)
    height = max(PANEL_SIZE * min(1, H / W), MIN_PANEL_HEIGHT)
    page = Page(2 * (width + GAP) + COLOR_BAR_MARGIN, height + GAP, heading, dpi)
    for column, pixels in enumerate((image, overlay_pixels)):
        axes = page.axes(GAP + column * (width + GAP), GAP, width, height)
        axes.imshow(pixels)
        axes.axis("off")
    if bar.end:
        shown = min(height, width * H / W)  # the bar is as high as the image
        left = page.width - COLOR_BAR_MARGIN + GAP
        inset = min(0.06, shown / 8)  # for half a line of the labels at the ends
        draw_color_bar(page.axes(left, GAP + (height - shown) / 2 + inset, COLOR_BAR_WIDTH, shown - 2 * inset), bar)
    return page.figure


def plot_label(text: str) -> str:
    """Return a label of an axis or a legend: without mathematics, and shortened in the middle."""
    text = renderable(text)
    side = MAX_LABEL_LENGTH // 2
    return (text if len(text) <= MAX_LABEL_LENGTH else f"{text[:side]}...{text[-side:]}").replace("$", r"\$")


def thumbnail(pixels: np.ndarray, limit: int) -> np.ndarray:
    """Shrink an image so that its longer side is at most `limit`; smaller images are returned unchanged."""
    image = Image.fromarray(pixels)
    image.thumbnail((limit, limit), Image.Resampling.LANCZOS)
    return np.asarray(image)


def titled_axes(title: str, height: float, width: float = 7.5) -> tuple[Figure, Axes]:
    """Return an empty figure of (width, height) inches and its axes, with a title and vertical grid lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", color="0.9")
    return figure, axes
