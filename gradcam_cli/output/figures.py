"""Drawing of maps: heatmaps, overlays, figures and grids."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gradcam_cli.console import escape_control_chars
from gradcam_cli.errors import UsageError
from gradcam_cli.images.encode import encode
from gradcam_cli.images.fit import Box, clip_to_image
from gradcam_cli.images.memory import bands
from gradcam_cli.near_matches import did_you_mean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_SIZE = 4.5
"""Longer side of a panel of a figure, in inches."""

CELL_SIZE = 2.5
"""Longer side of a cell of a grid, in inches."""
MAX_LABEL_LENGTH = 48
"""Characters of a label of an axis or a legend."""


@functools.cache
def color_table(cmap: str) -> np.ndarray:
    """Return the 256 colors of a matplotlib colormap, (256, 3) uint8.

    Raises:
        UsageError: the colormap is unknown.
    """
    import matplotlib

    if cmap not in matplotlib.colormaps:
        raise UsageError(
            f"--cmap {cmap}: expected the name of a matplotlib colormap, got {cmap!r}",
            did_you_mean(cmap, matplotlib.colormaps) or "for example jet, viridis, inferno, turbo, gray",
        )
    colors = matplotlib.colormaps[cmap].resampled(256)(np.arange(256))[:, :3]
    return np.round(colors * 255).astype(np.uint8)


def render_heatmap(heatmap: np.ndarray, crop_box: Box, cmap: str = "jet") -> np.ndarray:
    """Color a map.

    Args:
        heatmap: (H, W) in 0..1.
        crop_box: the part of the image in the model input; the rest is drawn gray and hatched.
        cmap: name of a matplotlib colormap.

    Returns:
        (H, W, 3) uint8.
    """
    colored = np.empty((*heatmap.shape, 3), np.uint8)
    for rows in bands(heatmap.shape):
        colored[rows] = color_table(cmap)[_color_indices(heatmap[rows])]
    return _hatch_outside_crop(colored, None, crop_box)


def overlay(
    image: np.ndarray, heatmap: np.ndarray, crop_box: Box, cmap: str = "jet", opacity: float = 0.5
) -> np.ndarray:
    """Blend the colored map over the image: (1 - opacity) image + opacity colors.

    Args:
        image: (H, W, 3) uint8.
        heatmap: (H, W) in 0..1.
        crop_box: the part of the image in the model input; the rest is drawn gray and hatched.
        cmap: name of a matplotlib colormap.
        opacity: 0 (image only) to 1 (colors only).

    Returns:
        (H, W, 3) uint8.
    """
    weight = round(opacity * 2**16)  # fixed-point with 16 fractional bits, twice as fast as floats
    colors = color_table(cmap) * np.uint32(weight) + np.uint32(2**15)
    result = np.empty(image.shape, np.uint8)
    for rows in bands(image.shape):
        blended = image[rows] * np.uint32(2**16 - weight)
        blended += np.take(colors, _color_indices(heatmap[rows]), axis=0)
        blended >>= np.uint32(16)
        result[rows] = blended
    return _hatch_outside_crop(result, image, crop_box)


def transparent_overlay(
    image: np.ndarray, values: np.ndarray, crop_box: Box, cmap: str = "jet", opacity: float = 1.0
) -> np.ndarray:
    """Blend the colored map over the image where it is large: (1 - opacity value) image + opacity value colors.

    Args:
        image: (H, W, 3) uint8.
        values: (H, W) in 0..1.
        crop_box: the part of the image in the model input; the rest is drawn gray and hatched.
        cmap: name of a matplotlib colormap.
        opacity: opacity of the value 1, 0..1.

    Returns:
        (H, W, 3) uint8.
    """
    result = np.empty(image.shape, np.uint8)
    for rows in bands(image.shape):
        alpha = (opacity * values[rows, :, np.newaxis]).astype(np.float32)
        result[rows] = np.round((1 - alpha) * image[rows] + alpha * color_table(cmap)[_color_indices(values[rows])])
    return _hatch_outside_crop(result, image, crop_box)


def _color_indices(heatmap: np.ndarray) -> np.ndarray:
    """Return color table indices, (H, W) uint8, of values in 0..1."""
    return (heatmap * 255 + 0.5).astype(np.uint8)


def _hatch_outside_crop(pixels: np.ndarray, background: np.ndarray | None, crop_box: Box) -> np.ndarray:
    """Replace the pixels outside the crop by the background, or 128, in gray with diagonal stripes; in place."""
    H, W, _ = pixels.shape
    visible = clip_to_image(crop_box, (H, W))
    if visible == (0, 0, W, H):
        return pixels
    period = max(8, min(H, W) // 30)
    for rows in bands(pixels.shape):
        stripes = (np.add.outer(np.arange(rows.start, rows.stop), np.arange(W)) % period) < period // 4
        gray = np.full(stripes.shape, 64.0) if background is None else background[rows].mean(axis=2) * 0.5
        outside = np.ones(stripes.shape, bool)
        outside[max(visible.y0 - rows.start, 0) : max(visible.y1 - rows.start, 0), visible.x0 : visible.x1] = False
        pixels[rows][outside] = np.where(stripes, gray + 60, gray).astype(np.uint8)[outside][:, None]
    return pixels


def side_by_side_figure(image: np.ndarray, overlay_pixels: np.ndarray, title: str, dpi: int = 150) -> Figure:
    """Draw a matplotlib figure with the image on the left and the overlay on the right.

    Args:
        image: (H, W, 3) uint8.
        overlay_pixels: (H, W, 3) uint8, from `overlay`.
        title: text above both; it is wrapped to the width of the figure.
        dpi: dots per inch; the longer side of a panel is 4.5 inches.
    """
    from gradcam_cli.output.notebook_figure import NotebookFigure

    H, W = image.shape[:2]
    width, height = PANEL_SIZE * min(1, W / H), PANEL_SIZE * min(1, H / W)
    width, height = max(width, 2.2), max(height, 0.8)
    lines = textwrap.wrap(_renderable_text(title), int(22 * width)) or [""]
    head = 0.12 + 0.22 * len(lines)
    figure = NotebookFigure(figsize=(2 * width + 0.24, height + head + 0.08), dpi=dpi)
    total = figure.get_size_inches()
    for column, pixels in enumerate((image, overlay_pixels)):
        left = 0.08 + column * (width + 0.08)
        axes = figure.add_axes((left / total[0], 0.08 / total[1], width / total[0], height / total[1]))
        axes.imshow(_thumbnail(pixels, int(PANEL_SIZE * dpi)))
        axes.axis("off")
    figure.text(
        0.5, 1 - 0.06 / total[1], "\n".join(lines), ha="center", va="top", fontsize=11, parse_math=False, wrap=False
    )
    return figure


Cell = tuple[str, np.ndarray]
"""The label of a grid cell, and its pixels (H, W, 3) uint8."""


def grid_figure(rows: Sequence[Sequence[Cell]], dpi: int = 150) -> Figure:
    """Draw a grid of labeled images.

    Args:
        rows: the cells of each row: a label and pixels (H, W, 3) uint8.
        dpi: dots per inch; the longer side of a cell is 2.5 inches.
    """
    from gradcam_cli.output.notebook_figure import NotebookFigure

    shapes = [pixels.shape[:2] for row in rows for _, pixels in row]
    width = max(CELL_SIZE * max(min(1, W / H) for H, W in shapes), 1.4)
    heights = [
        max(CELL_SIZE * max(min(1, pixels.shape[0] / pixels.shape[1]) for _, pixels in row), 0.6) for row in rows
    ]
    head, gap = 0.45, 0.1
    columns = max(len(row) for row in rows)
    total = np.array([columns * (width + gap) + gap, sum(heights) + len(rows) * head + gap])
    figure = NotebookFigure(figsize=tuple(total), dpi=dpi)
    for i, row in enumerate(rows):
        height = heights[i]
        bottom = total[1] - sum(heights[: i + 1]) - (i + 1) * head
        for j, (label, pixels) in enumerate(row):
            left = gap + j * (width + gap)
            axes = figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
            axes.imshow(thumbnail_for_grid(pixels, dpi))
            axes.axis("off")
            text = "\n".join(textwrap.wrap(_renderable_text(label), int(16 * width))[:2])
            x, y = (left + width / 2) / total[0], (bottom + height + 0.04) / total[1]
            figure.text(x, y, text, ha="center", va="bottom", fontsize=8, parse_math=False)
    return figure


def _renderable_text(text: str) -> str:
    """Return a text that can be drawn: control characters escaped, invalid UTF-8 bytes replaced by `?`."""
    return escape_control_chars(text).encode("utf-8", "replace").decode("utf-8")


def plot_label(text: str) -> str:
    """Return a label of an axis or a legend: without mathematics, and shortened in the middle."""
    text = _renderable_text(text)
    side = MAX_LABEL_LENGTH // 2
    return (text if len(text) <= MAX_LABEL_LENGTH else f"{text[:side]}...{text[-side:]}").replace("$", r"\$")


def thumbnail_for_grid(pixels: np.ndarray, dpi: int = 150) -> np.ndarray:
    """Shrink an image to the size of a grid cell; smaller images are returned unchanged."""
    return _thumbnail(pixels, int(CELL_SIZE * dpi))


def _thumbnail(pixels: np.ndarray, limit: int) -> np.ndarray:
    """Shrink an image so that its longer side is at most `limit`."""
    image = Image.fromarray(pixels)
    image.thumbnail((limit, limit), Image.Resampling.LANCZOS)
    return np.asarray(image)


def encode_figure(figure: Figure, image_format: str = "png", comment: str = "") -> bytes:
    """Encode a figure as `png` or `jpg`, with a comment; equal figures and comments give equal bytes."""
    return encode(figure_pixels(figure), image_format, comment)


def figure_pixels(figure: Figure) -> np.ndarray:
    """Render a figure to pixels, (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: np.ndarray = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[:, :, :3].copy()


def titled_axes(title: str, height: float, width: float = 7.5) -> tuple[Figure, Axes]:
    """Return an empty figure of (width, height) inches and its axes, with a title and vertical grid lines."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", color="0.9")
    return figure, axes
