"""Figure and animation of maps along depth, with the curve of the adjoint norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw

from gradcam_cli.images.fit import Box
from gradcam_cli.methods.maps import upsample
from gradcam_cli.output.figures import CELL_SIZE, overlay

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAX_COLUMNS = 8
MAX_SHOWN_MAPS = 24
"""Maximum number of maps in a figure; of more depths, evenly spaced ones are shown."""
MIN_SIDE = 224
"""Minimum of the shorter side of an overlay, in pixels."""
LABEL_HEIGHT = 22
"""Height of the line with t below a frame, in pixels."""


def upscaled_overlay(image: np.ndarray, heatmap: np.ndarray, crop_box: Box, cmap: str, opacity: float) -> np.ndarray:
    """Return the overlay of an image, (k H, k W, 3) uint8. The pixels of small images are repeated k times."""
    H, W = image.shape[:2]
    k = max(1, -(-MIN_SIDE // min(H, W)))
    image = image.repeat(k, axis=0).repeat(k, axis=1)
    return overlay(image, upsample(heatmap, (k * H, k * W)), Box(*(k * side for side in crop_box)), cmap, opacity)


def depth_figure(
    image: np.ndarray, overlays: Sequence[np.ndarray], t: Sequence[float], norms: np.ndarray, title: str, dpi: int = 150
) -> Figure:
    """Draw an image, its maps with their t as titles, and the curve of ||a(t)|| below them.

    Args:
        image: (H, W, 3) uint8.
        overlays: an overlay for each depth, with the aspect ratio of the image.
        t: the depths.
        norms: (depths,), ||a(t)||.
        title: title of the figure.
        dpi: dots per inch.
    """
    from matplotlib.figure import Figure

    shown = np.unique(np.linspace(0, len(t) - 1, min(len(t), MAX_SHOWN_MAPS)).round().astype(int))
    cells = [("image", image), *((f"t = {t[i]:.3g}", overlays[i]) for i in shown)]
    columns = min(len(cells), MAX_COLUMNS)
    rows = -(-len(cells) // columns)
    shape = image.shape[0] / image.shape[1]
    width, height = CELL_SIZE * min(1, 1 / shape) * 0.8, CELL_SIZE * min(1, shape) * 0.8
    figure = Figure(figsize=(max(columns * width, 4.5), rows * (height + 0.3) + 2.3), dpi=dpi, layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=[rows * (height + 0.3), 2.0])
    upper, lower = parts
    for axes in upper.subplots(rows, columns, squeeze=False).flat:
        axes.axis("off")
    for axes, (label, pixels) in zip(upper.axes, cells, strict=False):
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(label, fontsize=9)
    below = lower.subplots()
    below.plot(t, norms, "o-", color="C0", markersize=4)
    below.set(xlabel="depth t", ylabel=r"$\Vert a(t) \Vert$", ylim=(0, None))
    below.grid(alpha=0.3)
    figure.suptitle(title, fontsize=10)
    return figure


def animation_frames(overlays: Sequence[np.ndarray], t: Sequence[float]) -> list[np.ndarray]:
    """Return the frames of an animation: each overlay with a bar and a label for t below it."""
    H, W = overlays[0].shape[:2]
    first, last = t[0], t[-1]
    frames = []
    for pixels, time in zip(overlays, t, strict=True):
        frame = Image.new("RGB", (W, H + LABEL_HEIGHT), "white")
        frame.paste(Image.fromarray(pixels))
        draw = ImageDraw.Draw(frame)
        fraction = (time - first) / (last - first) if last != first else 1.0
        draw.rectangle((0, H, round(W * fraction), H + 3), fill=(31, 119, 180))
        draw.text((4, H + 7), f"t = {time:.3f}", fill="black")
        frames.append(np.asarray(frame))
    return frames
