"""Maps made visible: coloured, laid over the photo, and side by side in a figure."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from gradcam_cli.console import escape_control_chars
from gradcam_cli.errors import UsageError
from gradcam_cli.images.encode import encode
from gradcam_cli.images.fit import Box, clip_to_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PANEL = 4.5
"""Longer side of a figure's panel, in inches."""

CELL = 2.5
"""Longer side of a sheet's cell, in inches."""


@functools.cache
def color_table(cmap: str) -> np.ndarray:
    """Return the 256 colours of a matplotlib colour map, (256, 3) uint8.

    Raises:
        UsageError: matplotlib knows no such map.
    """
    import matplotlib

    if cmap not in matplotlib.colormaps:
        raise UsageError(
            f"--cmap {cmap}: expected the name of a matplotlib colour map, got {cmap!r}",
            "for example jet, viridis, inferno, turbo, gray",
        )
    colours = matplotlib.colormaps[cmap].resampled(256)(np.arange(256))[:, :3]
    return np.round(colours * 255).astype(np.uint8)


def render_heatmap(heatmap: np.ndarray, crop_box: Box, cmap: str = "jet") -> np.ndarray:
    """Colour a map.

    Args:
        heatmap: (H, W) in 0..1.
        crop_box: the part of the photo that the network saw; the rest is drawn gray and hatched.
        cmap: name of a matplotlib colour map.

    Returns:
        (H, W, 3) uint8.
    """
    coloured = color_table(cmap)[_color_indices(heatmap)]
    return _hatch_outside_crop(coloured, np.full_like(coloured, 128), crop_box)


def overlay(
    image: np.ndarray, heatmap: np.ndarray, crop_box: Box, cmap: str = "jet", opacity: float = 0.5
) -> np.ndarray:
    """Blend the coloured map over the photo: (1 - alpha) photo + alpha colours.

    Args:
        image: (H, W, 3) uint8.
        heatmap: (H, W) in 0..1.
        crop_box: the part of the photo that the network saw; the rest is drawn gray and hatched.
        cmap: name of a matplotlib colour map.
        opacity: 0 (photo only) to 1 (colours only).

    Returns:
        (H, W, 3) uint8.
    """
    share = round(opacity * 2**16)  # whole numbers with 16 binary places: twice as fast as floats
    blended = image * np.uint32(2**16 - share)
    blended += np.take(color_table(cmap) * np.uint32(share) + np.uint32(2**15), _color_indices(heatmap), axis=0)
    blended >>= np.uint32(16)
    return _hatch_outside_crop(blended.astype(np.uint8), image, crop_box)


def _color_indices(heatmap: np.ndarray) -> np.ndarray:
    """Return the places in a colour table, 0..255, of values in 0..1."""
    return (heatmap * 255 + 0.5).astype(np.uint8)


def _hatch_outside_crop(pixels: np.ndarray, background: np.ndarray, crop_box: Box) -> np.ndarray:
    """Replace what lies outside the view by the ground in gray under diagonal stripes."""
    H, W, _ = pixels.shape
    seen = clip_to_image(crop_box, (H, W))
    if seen == (0, 0, W, H):
        return pixels
    period = max(8, min(H, W) // 30)
    stripes = (np.add.outer(np.arange(H), np.arange(W)) % period) < period // 4
    gray = background.mean(axis=2) * 0.5
    unseen = np.repeat(np.where(stripes, gray + 60, gray)[:, :, None], 3, axis=2).astype(np.uint8)
    unseen[seen.y0 : seen.y1, seen.x0 : seen.x1] = pixels[seen.y0 : seen.y1, seen.x0 : seen.x1]
    return unseen


def side_by_side_figure(image: np.ndarray, overlay_pixels: np.ndarray, title: str, dpi: int = 150) -> Figure:
    """Draw a matplotlib figure: left the photo, right the photo with the map over it.

    Args:
        image: (H, W, 3) uint8.
        overlay_pixels: (H, W, 3) uint8, from `overlay`.
        title: one line above both; it is wrapped where the figure is narrow.
        dpi: dots an inch; the panels' longer side is 4.5 inches.
    """
    from matplotlib.figure import Figure

    H, W = image.shape[:2]
    width, height = PANEL * min(1, W / H), PANEL * min(1, H / W)
    width, height = max(width, 2.2), max(height, 0.8)
    lines = textwrap.wrap(_renderable_text(title), int(22 * width)) or [""]
    head = 0.12 + 0.22 * len(lines)
    drawing = Figure(figsize=(2 * width + 0.24, height + head + 0.08), dpi=dpi)
    total = drawing.get_size_inches()
    for place, pixels in enumerate((image, overlay_pixels)):
        left = 0.08 + place * (width + 0.08)
        axes = drawing.add_axes((left / total[0], 0.08 / total[1], width / total[0], height / total[1]))
        axes.imshow(_thumbnail(pixels, int(PANEL * dpi)))
        axes.axis("off")
    drawing.text(
        0.5, 1 - 0.06 / total[1], "\n".join(lines), ha="center", va="top", fontsize=11, parse_math=False, wrap=False
    )
    return drawing


Cell = tuple[str, np.ndarray]
"""A picture on a sheet, (H, W, 3) uint8, with its label."""


def grid_figure(rows: Sequence[Sequence[Cell]], dpi: int = 150) -> Figure:
    """Draw pictures in rows and columns, each under its label.

    Args:
        rows: the cells of each row: a label and a picture (H, W, 3) uint8.
        dpi: dots an inch; the cells' longer side is 2.5 inches.
    """
    from matplotlib.figure import Figure

    shapes = [pixels.shape[:2] for row in rows for _, pixels in row]
    width = max(CELL * max(min(1, W / H) for H, W in shapes), 1.4)
    heights = [max(CELL * max(min(1, pixels.shape[0] / pixels.shape[1]) for _, pixels in row), 0.6) for row in rows]
    head, gap = 0.45, 0.1
    columns = max(len(row) for row in rows)
    total = np.array([columns * (width + gap) + gap, sum(heights) + len(rows) * head + gap])
    drawing = Figure(figsize=tuple(total), dpi=dpi)
    for i, row in enumerate(rows):
        height = heights[i]
        bottom = total[1] - sum(heights[: i + 1]) - (i + 1) * head
        for j, (label, pixels) in enumerate(row):
            left = gap + j * (width + gap)
            axes = drawing.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))
            axes.imshow(thumbnail_for_grid(pixels, dpi))
            axes.axis("off")
            text = "\n".join(textwrap.wrap(_renderable_text(label), int(16 * width))[:2])
            place = ((left + width / 2) / total[0], (bottom + height + 0.04) / total[1])
            drawing.text(*place, text, ha="center", va="bottom", fontsize=8, parse_math=False)
    return drawing


def _renderable_text(text: str) -> str:
    """Return a text without what has no glyph: control marks as escapes, bytes that are no UTF-8 as `?`."""
    return escape_control_chars(text).encode("utf-8", "replace").decode("utf-8")


def thumbnail_for_grid(pixels: np.ndarray, dpi: int = 150) -> np.ndarray:
    """Bring a picture to the size at which a sheet draws it, if it is larger."""
    return _thumbnail(pixels, int(CELL * dpi))


def _thumbnail(pixels: np.ndarray, limit: int) -> np.ndarray:
    """Bring a picture to the size at which it is drawn, if it is larger."""
    image = Image.fromarray(pixels)
    image.thumbnail((limit, limit), Image.Resampling.LANCZOS)
    return np.asarray(image)


def encode_figure(figure: Figure, image_format: str = "png") -> bytes:
    """Return a figure's file, `png` or `jpg`, always the same for the same figure."""
    return encode(figure_pixels(figure), image_format)


def figure_pixels(figure: Figure) -> np.ndarray:
    """Return a figure as it is drawn, (H, W, 3) uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels: np.ndarray = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return pixels[:, :, :3].copy()


def encode_animation(frames: Sequence[np.ndarray], image_format: str = "gif", seconds: float = 0.2) -> bytes:
    """Return the file of an animation that runs for ever.

    Args:
        frames: (H, W, 3) uint8 each, all of one size.
        image_format: `gif`, of 256 colours a frame, or `apng`.
        seconds: that each is shown.
    """
    buffer = io.BytesIO()
    images = [Image.fromarray(frame) for frame in frames]
    if image_format == "gif":
        images = [image.convert("P", palette=Image.Palette.ADAPTIVE) for image in images]
    kind = "GIF" if image_format == "gif" else "PNG"
    images[0].save(buffer, kind, save_all=True, append_images=images[1:], duration=round(1000 * seconds), loop=0)
    return buffer.getvalue()


def titled_axes(title: str, height: float, width: float = 7.5) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10)
    axes.grid(axis="x", color="0.9")
    return figure, axes
