"""Drawing of the difference of two maps: diverging colors, white at zero, with a color bar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.images.memory import bands
from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.page import GAP, LINE_HEIGHT, NAME_SIZE, TEXT_SIZE
from gradcam_cli.output.text_fitting import fit_line, fit_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL, MIN_WIDTH, MIN_HEIGHT = 3.4, 2.2, 1.0
"""Longer side of a panel, and the shortest sides, in inches."""
BAR_WIDTH, BAR_MARGIN = 0.14, 0.95
"""Width of a color bar, and of the bar with its labels, in inches."""
COLORS = "RdBu_r"
"""Blue for negative values, white for zero, red for positive values; distinct with any color vision."""
COLOR_WEIGHT = 0.75
"""Share of the colors in the picture; the rest is the image in gray."""


def difference_overlay(image: np.ndarray, difference: np.ndarray, limit: float, crop_box: Box) -> np.ndarray:
    """Blend the colors of a difference with the image in gray.

    Args:
        image: (H, W, 3) uint8.
        difference: (H, W), signed.
        limit: the value of the strongest color; values are within -limit and limit.
        crop_box: the part of the image in the model input; the rest is drawn in gray without colors.

    Returns:
        (H, W, 3) uint8.
    """
    result = np.empty(image.shape, np.uint8)
    scale = 1 / limit if limit > 0 else 0.0
    visible = clip_to_image(crop_box, image.shape[:2])
    colors = color_table(COLORS).astype(np.float32)
    for rows in bands(image.shape):
        gray = np.repeat(image[rows].mean(axis=2, dtype=np.float32)[:, :, None], 3, axis=2)
        indices = np.round((difference[rows] * scale * 0.5 + 0.5).clip(0, 1) * 255).astype(np.uint8)
        blended = COLOR_WEIGHT * colors[indices] + (1 - COLOR_WEIGHT) * gray
        outside = np.ones(indices.shape, bool)
        outside[max(visible.y0 - rows.start, 0) : max(visible.y1 - rows.start, 0), visible.x0 : visible.x1] = False
        blended[outside] = 0.5 * gray[outside]
        result[rows] = np.round(blended)
    return result


class SignedBar(NamedTuple):
    """The scale of the colors of a difference, from -limit to limit.

    Attributes:
        limit: the value of the strongest color; 0 for a difference that is zero everywhere.
        label: the quantity and its unit.
    """

    limit: float
    label: str


def difference_figure(
    panels: Sequence[tuple[str, np.ndarray]], heading: Sequence[str], bar: ColorBar, signed: SignedBar, dpi: int = 150
) -> Figure:
    """Draw four panels in two rows: both maps with their color bar; the image, and the difference with its own.

    Args:
        panels: caption and pixels, (H, W, 3) uint8, of the map of the predicted class, that of the other class, the
            image, and the difference from `difference_overlay`.
        heading: the name of the image, and what the maps are, a line each; longer lines are shortened.
        bar: of both maps; none is drawn if its end is 0.
        signed: of the difference.
        dpi: dots per inch.
    """
    from matplotlib.figure import Figure

    H, W = panels[0][1].shape[:2]
    width, height = max(PANEL * min(1, W / H), MIN_WIDTH), max(PANEL * min(1, H / W), MIN_HEIGHT)
    texts = [fit_lines(caption, width, TEXT_SIZE, 2) for caption, _ in panels]
    row = max(map(len, texts)) * LINE_HEIGHT * TEXT_SIZE + height + 2 * GAP
    head = GAP + sum(LINE_HEIGHT * size for size in _sizes(heading)) + GAP
    total = np.array([GAP + 2 * (width + GAP) + BAR_MARGIN, head + 2 * row])
    figure = Figure(figsize=tuple(total), dpi=dpi)

    def add_axes(left: float, bottom: float, width: float, height: float) -> Axes:
        return figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))

    top = total[1] - GAP
    for line, size in zip(heading, _sizes(heading), strict=True):
        text = fit_line(line, total[0] - 2 * GAP, size)
        figure.text(0.5, top / total[1], text, ha="center", va="top", fontsize=size, parse_math=False)
        top -= LINE_HEIGHT * size
    for number, (_, pixels) in enumerate(panels):
        bottom = GAP + (1 - number // 2) * row
        axes = add_axes(GAP + number % 2 * (width + GAP), bottom, width, height)
        axes.imshow(pixels)
        axes.axis("off")
        axes.set_title("\n".join(texts[number]), fontsize=TEXT_SIZE, pad=3, parse_math=False)
    shown = min(height, width * H / W) - 0.12  # the bars are as high as the images, less half a line at both ends
    left, inset = total[0] - BAR_MARGIN + GAP, (height - shown) / 2
    if bar.end:
        draw_color_bar(add_axes(left, GAP + row + inset, BAR_WIDTH, shown), bar)
    if signed.limit:
        _draw_signed_bar(add_axes(left, GAP + inset, BAR_WIDTH, shown), signed)
    return figure


def _sizes(heading: Sequence[str]) -> list[float]:
    return [NAME_SIZE, *[TEXT_SIZE] * (len(heading) - 1)]


def _draw_signed_bar(axes: Axes, bar: SignedBar) -> None:
    """Draw the colors from -limit to limit, as strong as over an image."""
    gray = (1 - COLOR_WEIGHT) * 127
    pixels = np.round(COLOR_WEIGHT * color_table(COLORS)[::-1, None].astype(np.float32) + gray).astype(np.uint8)
    axes.imshow(pixels, aspect="auto", extent=(0, 1, -bar.limit, bar.limit), interpolation="nearest")
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_yticks([-bar.limit, 0, bar.limit], [f"−{bar.limit:.3g}", "0", f"+{bar.limit:.3g}"])
    axes.tick_params(labelsize=7, length=2, pad=2)
    axes.set_ylabel(bar.label, fontsize=7, parse_math=False)
