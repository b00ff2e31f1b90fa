"""Drawing of the difference of two maps: diverging colors, white at zero, with a color bar."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.images.fit import Box, clip_to_image
from gradcam_cli.images.memory import bands
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.figures import PANEL_SIZE, plot_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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


def difference_figure(
    image: np.ndarray, overlay: np.ndarray, limit: float, title: str, ends: tuple[str, str], dpi: int = 150
) -> Figure:
    """Draw the image, the difference over it, and a color bar from -limit to limit.

    Args:
        image: (H, W, 3) uint8.
        overlay: (H, W, 3) uint8, from `difference_overlay`.
        limit: the value of the strongest color, in units of the score.
        title: text above the pictures.
        ends: what the negative and the positive end of the color bar stand for.
        dpi: dots per inch.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

    H, W = image.shape[:2]
    width, height = max(PANEL_SIZE * min(1, W / H), 2.2), max(PANEL_SIZE * min(1, H / W), 1.6)
    figure = Figure(figsize=(2 * width + 1.6, height + 0.95), dpi=dpi, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, pixels in ((left, image), (right, overlay)):
        axes.imshow(pixels)
        axes.axis("off")
    span = limit if limit > 0 else 1.0
    mappable = ScalarMappable(Normalize(-span, span), COLORS)
    bar = figure.colorbar(mappable, ax=right, shrink=0.9, aspect=22, pad=0.03)
    low, high = (_end_label(sign, span, name) for sign, name in zip("−+", ends, strict=True))
    bar.set_ticks([-span, 0, span], labels=[low, "0", high] if limit > 0 else ["", "0", ""], fontsize=8)
    figure.suptitle(title, fontsize=10, parse_math=False)
    return figure


def _end_label(sign: str, limit: float, name: str) -> str:
    """Return the value at an end of the color bar, and below it the class; words are not broken."""
    words = plot_label(name).replace("_", " ")
    return "\n".join([f"{sign}{limit:.3g}", *textwrap.wrap(words, 16, break_long_words=False)])
