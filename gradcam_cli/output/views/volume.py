"""A volume as three orthogonal slices through the peak of its map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcam_cli.output.color_bar import ColorBar, draw_color_bar
from gradcam_cli.output.figures import COLOR_BAR_MARGIN, COLOR_BAR_WIDTH, PANEL_SIZE
from gradcam_cli.output.page import GAP, Page
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.scaling import scale_image, scaled_size
from gradcam_cli.output.views import image
from gradcam_cli.output.views.labels import place_label, write_label
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW_HEIGHT, MIN_WIDTH, INSET = 3.5, 4.0, 0.06
"""Height of slices in a row, least width of both panels, and the part of a color bar's ends for labels, in inches."""
THINNEST = 1 / 6
"""The shortest side of a volume is drawn at least this long, as a fraction of the longest; then not to scale."""
GAP_PER_SIDE = 80
"""The white gap between slices takes this part of the longer side of a panel, at least two pixels."""
CROSS_PER_SIDE = 12
"""The lines of a crosshair leave out this part of a slice around the peak."""
AXES = "zyx"
"""Names of the axes of a volume, in the order of the array's axes."""


class Part(NamedTuple):
    """A slice in a panel.

    Attributes:
        axis: the axis perpendicular to it: 0 for a slice as it is stored.
        transposed: whether its rows are drawn as columns.
        left: its place in the panel.
        top: its place in the panel.
        size: (h, w) in pixels of the panel.
    """

    axis: int
    transposed: bool
    left: int
    top: int
    size: tuple[int, int]


def image_panel(shown: Shown, side: int) -> np.ndarray:
    """Return the three slices with crosshairs, (h, w, 3) uint8 with a longer side of at most `side` pixels."""
    return _draw_image(shown, arrange(shown, side, side))


def map_panel(shown: Shown, side: int, render: RenderOptions) -> np.ndarray:
    """Return the three slices with the map over them and with crosshairs, of the size of `image_panel`."""
    return _draw_map(shown, arrange(shown, side, side), render)


def figure(shown: Shown, heading: Sequence[str], bar: ColorBar, render: RenderOptions) -> Figure:
    """Return a figure: three slices through the peak without and with the map, and the color bar.

    The slices with the map are next to those without it, or below them, whichever makes the slices larger.
    """
    beside = arrange(shown, int(PANEL_SIZE * render.dpi), int(PANEL_SIZE * render.dpi))
    below = arrange(shown, int(ROW_HEIGHT * render.dpi), int(2 * PANEL_SIZE * render.dpi))
    parts = max(beside, below, key=lambda each: each[0].size)
    pictures = _draw_image(shown, parts), _draw_map(shown, parts, render)
    height, width = (side / render.dpi for side in pictures[0].shape[:2])
    columns, rows = (2, 1) if parts is beside else (1, 2)
    total = rows * (height + GAP)
    page_width = max(columns * (width + GAP), MIN_WIDTH) + COLOR_BAR_MARGIN
    page = Page(page_width, total, [*heading, places_label(shown)], render.dpi)
    for number, pixels in enumerate(pictures):
        left = GAP + number * (width + GAP) if parts is beside else GAP
        axes = page.axes(left, GAP + (rows - 1 - number % rows) * (height + GAP), width, height)
        axes.imshow(pixels, aspect="auto")
        axes.axis("off")
        for part in parts:
            write_label(axes, part.left, part.top, f"{AXES[part.axis]} = {shown.place[part.axis]}")
    if bar.end:
        box = (page.width - COLOR_BAR_MARGIN + GAP, total - height + INSET, COLOR_BAR_WIDTH, height - 2 * INSET)
        draw_color_bar(page.axes(*box), bar)
    return page.figure


def slice_panel(shown: Shown, axis: int, number: int, side: int, render: RenderOptions) -> np.ndarray:
    """Return one slice with its map, (h, w, 3) uint8 with a longer side of `side` pixels."""
    return image.draw(shown.slice(axis, number), scaled_size(slice_sides(shown, axis), side), render, smooth=True)


def slice_sides(shown: Shown, axis: int) -> tuple[float, float]:
    """Return the height and width at which a slice is drawn, in the units of `extents`."""
    lengths = extents(shown)
    rows, columns = (max(length, THINNEST * max(lengths)) for n, length in enumerate(lengths) if n != axis)
    return rows, columns


def places_label(shown: Shown) -> str:
    """Return where the slices are: the voxel, and its distances from the first one if the spacing is known."""
    places = [f"{AXES[axis]} = {place_label(shown, axis, shown.place[axis])}" for axis in (2, 1, 0)]
    where = "peak" if shown.peak else "middle"
    lengths = extents(shown)
    scale = "" if min(lengths) >= THINNEST * max(lengths) else " (not to scale)"
    return f"slices through the {where}: {', '.join(places)}{scale}"


def extents(shown: Shown) -> list[float]:
    """Return the lengths of the axes: in millimeters, or in voxels if a distance is unknown."""
    steps = shown.spacing if all(shown.spacing) else (1.0,) * 3
    return [length * step for length, step in zip(shown.heatmap.shape, steps, strict=True)]


def arrange(shown: Shown, height: int, width: int) -> list[Part]:
    """Return the places of the three slices in a panel: in an angle, or in a row, whichever makes them larger.

    In an angle, the slices at the right of and below the stored one share its rows and columns.
    """
    lengths = extents(shown)
    D, H, W = (max(length, THINNEST * max(lengths)) for length in lengths)
    gap = max(2, max(height, width) // GAP_PER_SIDE)
    angle = min((width - gap) / (W + D), (height - gap) / (H + D))
    row = min((width - 2 * gap) / (2 * W + H), height / max(D, H))
    d, h, w = (max(int(max(angle, row) * length + 1e-6), 1) for length in (D, H, W))
    if angle >= row:
        return [
            Part(0, False, 0, 0, (h, w)), Part(2, True, w + gap, 0, (h, d)), Part(1, False, 0, h + gap, (d, w)),
        ]  # fmt: skip
    return [
        Part(0, False, 0, 0, (h, w)), Part(1, False, w + gap, 0, (d, w)), Part(2, False, 2 * (w + gap), 0, (d, h)),
    ]  # fmt: skip


def _draw_image(shown: Shown, parts: Sequence[Part]) -> np.ndarray:
    return _compose(shown, parts, lambda part, size: scale_image(part.pixels, size, smooth=True))


def _draw_map(shown: Shown, parts: Sequence[Part], render: RenderOptions) -> np.ndarray:
    return _compose(shown, parts, lambda part, size: image.draw(part, size, render, smooth=True))


def _compose(shown: Shown, parts: Sequence[Part], draw: Callable[[Shown, tuple[int, int]], np.ndarray]) -> np.ndarray:
    """Return the three slices in one picture; `draw` gets each slice as an image, and its size."""
    height, width = (max(ends) for ends in zip(*((p.top + p.size[0], p.left + p.size[1]) for p in parts), strict=True))
    panel = np.full((height, width, 3), 255, np.uint8)
    for part in parts:
        plane = shown.slice(part.axis, shown.place[part.axis])
        row, column = (shown.place[axis] for axis in range(3) if axis != part.axis)
        if part.transposed:
            plane, row, column = plane.transposed(), column, row
        (h, w), (H, W) = part.size, plane.heatmap.shape
        picture = draw(plane, part.size).copy()
        _draw_cross(picture, int((row + 0.5) * h / H), int((column + 0.5) * w / W))
        panel[part.top : part.top + h, part.left : part.left + w] = picture
    return panel


def _draw_cross(pixels: np.ndarray, row: int, column: int) -> None:
    """Draw a crosshair with an open middle into (h, w, 3) uint8 pixels, in place: white with black edges, half opaque.

    Args:
        pixels: the slice.
        row: of the horizontal line.
        column: of the vertical line.
    """
    h, w = pixels.shape[:2]
    free = max(4, max(h, w) // CROSS_PER_SIDE)
    lines = pixels.astype(np.uint16)
    for offset, gray in ((-1, 0), (1, 0), (0, 255)):
        for y, x in (
            (slice(0, max(row - free, 0)), column + offset), (slice(row + free, h), column + offset),
            (row + offset, slice(0, max(column - free, 0))), (row + offset, slice(column + free, w)),
        ):  # fmt: skip
            if all(isinstance(end, slice) or 0 <= end < length for end, length in ((y, h), (x, w))):
                lines[y, x] = gray
    pixels[:] = (pixels + lines + 1) // 2
