"""Figure and animation of maps along depth, with the curves of the class probability and the adjoint norm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from gradcam_cli.images.box import Box
from gradcam_cli.methods.maps import paste_into_image, upsample
from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.figures import plot_label
from gradcam_cli.output.grids import CELL_SIZE
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.results import Explanation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_SHOWN_MAPS = 9
"""Maximum number of maps in a figure; of more depths, evenly spaced ones are shown."""
MIN_SIDE = 224
"""Minimum of the shorter side of a frame, in pixels."""
LABEL_HEIGHT = 22
"""Height of the line with t below a frame of an animation, in pixels."""
FRAME_SIZE, MIN_FRAME_WIDTH = 0.7 * CELL_SIZE, 1.0
"""Longer side, and minimum width, of a frame of a figure, in inches."""
GAP, TOP, BOTTOM, CURVE_HEIGHT, CONNECTOR_HEIGHT = 0.08, 0.75, 0.45, 1.3, 0.3
"""Distances and heights in a figure, in inches."""
COLOR_BAR_WIDTH, COLOR_BAR_MARGIN = 0.2, 1.3
BRIGHTNESS = 0.6
"""Brightness of an image under its map, as a fraction: colors over white would be pale."""
PROBABILITY_COLOR, NORM_COLOR = "C0", "C3"


class Frame(NamedTuple):
    """A map at a depth, as it is drawn.

    Attributes:
        t: the depth.
        pixels: (k H, k W, 3) uint8, the image under the map.
        maximum: the largest value of the map, in the units of the method.
        zero_reason: why the map is zero everywhere, or None.
    """

    t: float
    pixels: np.ndarray
    maximum: float
    zero_reason: str | None


class ColorScale(NamedTuple):
    """The colors of all maps of an image.

    Attributes:
        options: how the maps are drawn; the opacity is that of the largest value of all maps.
        label: the quantity and its unit.
    """

    options: RenderOptions
    label: str = ""


class Curves(NamedTuple):
    """Two values at each depth, (depths,) each.

    Attributes:
        probabilities: probability of the explained class if the layers after the ODE are applied to z(t); NaN if the
            model does not return probabilities.
        norms: ||a(t)||.
    """

    probabilities: np.ndarray
    norms: np.ndarray


def make_frames(explanations: Sequence[Explanation], t: Sequence[float], colors: ColorScale) -> list[Frame]:
    """Draw the maps of all depths with one color scale; the pixels of small images are repeated.

    Args:
        explanations: a map for each depth.
        t: the depths.
        colors: the color scale; its end is the largest value of all maps.
    """
    image, crop_box = explanations[0].image, explanations[0].crop_box
    k = max(1, -(-MIN_SIDE // min(image.shape[:2])))
    maps = [enlarged_map(explanation, k) for explanation in explanations]
    maxima = [float(L.max()) for L in maps]
    dimmed = np.round(BRIGHTNESS * image).astype(np.uint8)
    enlarged, box = dimmed.repeat(k, axis=0).repeat(k, axis=1), Box(*(k * side for side in crop_box))
    end = max(maxima) or 1.0
    pixels = [overlay(enlarged, L / end, box, colors.options) for L in maps]
    reasons = [explanation.zero_reason for explanation in explanations]
    return [Frame(*frame) for frame in zip(t, pixels, maxima, reasons, strict=True)]


def enlarged_map(explanation: Explanation, k: int) -> np.ndarray:
    """Return the map upsampled to k times the image, (k H, k W), in the units of the method."""
    H, W = explanation.image.shape[:2]
    box = Box(*(k * side for side in explanation.map_box))
    upsampled = upsample(explanation.cam, (box.y1 - box.y0, box.x1 - box.x0), explanation.settings.interpolation)
    return paste_into_image(upsampled, box, (k * H, k * W))


def depth_figure(
    image: np.ndarray, frames: Sequence[Frame], curves: Curves, colors: ColorScale, title: str, dpi: int = 150
) -> Figure:
    """Draw an image and its maps in one row with a color bar, and below the maps the curves of p and ||a(t)||.

    Args:
        image: (H, W, 3) uint8.
        frames: a frame for each depth.
        curves: the values at all depths.
        colors: the color scale of the frames.
        title: title of the figure.
        dpi: dots per inch.
    """
    from matplotlib.figure import Figure

    shown = [frames[i] for i in np.linspace(0, len(frames) - 1, min(len(frames), MAX_SHOWN_MAPS)).round().astype(int)]
    shape = image.shape[0] / image.shape[1]
    width, height = max(FRAME_SIZE * min(1, 1 / shape), MIN_FRAME_WIDTH), FRAME_SIZE * min(1, shape)
    columns = len(shown) + 1
    total = np.array(
        [columns * (width + GAP) + COLOR_BAR_MARGIN, TOP + height + CONNECTOR_HEIGHT + CURVE_HEIGHT + BOTTOM]
    )
    figure = Figure(figsize=tuple(total), dpi=dpi)

    def add_axes(left: float, bottom: float, width: float, height: float) -> Axes:
        return figure.add_axes((left / total[0], bottom / total[1], width / total[0], height / total[1]))

    bottom = BOTTOM + CURVE_HEIGHT + CONNECTOR_HEIGHT
    lefts = [GAP + column * (width + GAP) for column in range(columns)]
    axes_of_frames = [add_axes(left, bottom, width, height) for left in lefts]
    _draw_image(axes_of_frames[0], image, "image")
    for axes, frame in zip(axes_of_frames[1:], shown, strict=True):
        _draw_frame(axes, frame)
    below = add_axes(lefts[1], BOTTOM, total[0] - COLOR_BAR_MARGIN - lefts[1], CURVE_HEIGHT)
    _draw_curves(below, [frame.t for frame in frames], curves)
    margin = width / 2 / (width + GAP)  # the first and last t are below the centers of their frames
    _connect(below, axes_of_frames[1:], [frame.t for frame in shown], margin)
    bar = add_axes(total[0] - COLOR_BAR_MARGIN + GAP, bottom, COLOR_BAR_WIDTH, height)
    end = max(frame.maximum for frame in frames) or 1.0
    draw_color_bar(bar, ColorBar(end, end, colors.label, colors.options), (0, round(255 * BRIGHTNESS)))
    figure.suptitle(plot_label(title), fontsize=10, y=1 - 0.1 / total[1], va="top")
    return figure


def _draw_image(axes: Axes, pixels: np.ndarray, label: str) -> None:
    axes.imshow(pixels, interpolation="nearest")
    axes.set_title(label, fontsize=9)
    axes.axis("off")


def _draw_frame(axes: Axes, frame: Frame) -> None:
    """Draw a map with its t and its maximum; a zero map has the reason in its place."""
    _draw_image(axes, frame.pixels, f"t = {frame.t:.3g}\nmax {frame.maximum:.2g}")
    if frame.zero_reason:
        reason = frame.zero_reason.split(":")[0]
        box = {"facecolor": "white", "alpha": 0.85, "edgecolor": "none"}
        text = f"zero everywhere:\n{reason}"
        axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=7, bbox=box)


def _draw_curves(axes: Axes, t: Sequence[float], curves: Curves) -> None:
    """Draw the class probability on the left axis and the norm of the adjoint on the right axis, both from zero."""
    norm_axes: Any = axes.twinx()
    for each, values, color, marker, label in (
        (axes, curves.probabilities, PROBABILITY_COLOR, "o", "class probability\nof the head at z(t)"),
        (norm_axes, curves.norms, NORM_COLOR, "s", r"$\Vert a(t) \Vert$"),
    ):
        each.set_ylabel(label, color=color, fontsize=8)
        each.tick_params(axis="y", colors=color, labelsize=8)
        each.plot(t, values, color=color, marker=marker, markersize=4)
    axes.set_ylim(-0.03, 1.05)
    norm_axes.set_ylim(0, 1.1 * max(float(curves.norms.max()), np.finfo(float).tiny))
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlabel("depth t", fontsize=8, labelpad=2)
    axes.grid(alpha=0.3)


def _connect(axes: Axes, axes_of_frames: Sequence[Axes], t: Sequence[float], margin: float) -> None:
    """Connect each frame with its t by a line; the margins of the axis are a fraction of the mean distance of t."""
    from matplotlib.patches import ConnectionPatch

    if len(t) > 1:
        distance = (t[-1] - t[0]) / (len(t) - 1)
        axes.set_xlim(t[0] - margin * distance, t[-1] + margin * distance)
    for frame, time in zip(axes_of_frames, t, strict=True):
        line = ConnectionPatch(
            *((0.5, 0), (time, 1)), coordsA=frame.transAxes, coordsB=axes.get_xaxis_transform(), color="0.6", lw=0.8
        )
        axes.figure.add_artist(line)


def animation_frames(frames: Sequence[Frame]) -> list[np.ndarray]:
    """Return the frames of an animation: each with a bar and a line for t and the maximum below it."""
    H, W = frames[0].pixels.shape[:2]
    first, last = frames[0].t, frames[-1].t
    drawn = []
    for frame in frames:
        picture = Image.new("RGB", (W, H + LABEL_HEIGHT), "white")
        picture.paste(Image.fromarray(frame.pixels))
        draw = ImageDraw.Draw(picture)
        fraction = (frame.t - first) / (last - first) if last != first else 1.0
        draw.rectangle((0, H, round(W * fraction), H + 3), fill=(31, 119, 180))
        value = "zero everywhere" if frame.zero_reason else f"max {frame.maximum:.2g}"
        draw.text((4, H + 7), f"t = {frame.t:.3f}   {value}", fill="black")
        drawn.append(np.asarray(picture))
    return drawn
