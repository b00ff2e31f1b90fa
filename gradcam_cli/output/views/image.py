"""An image and its map as panels of a figure or a grid, drawn at the size of the panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.images.boxes import draw_box
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.figures import PANEL_SIZE, side_by_side_figure
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.scaling import panel_size, scale_box, scale_image, scale_map
from gradcam_cli.output.views.shown import Shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def image_panel(shown: Shown, side: int) -> np.ndarray:
    """Return the image with a longer side of at most `side` pixels, (h, w, 3) uint8."""
    return scale_image(shown.pixels, panel_size(shown.pixels.shape, side))


def map_panel(shown: Shown, side: int, render: RenderOptions) -> np.ndarray:
    """Return the image with the map and the box of a detection drawn over it, of the size of `image_panel`."""
    return draw(shown, panel_size(shown.pixels.shape, side), render)


def draw(shown: Shown, size: tuple[int, int], render: RenderOptions, *, smooth: bool = False) -> np.ndarray:
    """Return the image with the map and the box of a detection drawn over it, (h, w, 3) uint8 of a size (h, w).

    Large images are not drawn at their own size first, and lines have the same width on all images.
    """
    image, old = scale_image(shown.pixels, size, smooth=smooth), shown.pixels.shape
    heatmap = scale_map(shown.heatmap, size, with_cells=shown.with_cells)
    keeps_box = size == old[:2] or not any(shown.crop_box.shape)
    crop_box = shown.crop_box if keeps_box else scale_box(shown.crop_box, old, image.shape)
    pixels = overlay(image, heatmap, crop_box, render, shown.limit)
    if shown.detection_box:
        draw_box(pixels, scale_box(shown.detection_box, old, image.shape))
    return pixels


def figure(shown: Shown, heading: Sequence[str], bar: ColorBar, render: RenderOptions) -> Figure:
    """Return a figure: the image, next to it the image with the map, and the color bar."""
    side = int(PANEL_SIZE * render.dpi)
    image, drawn = image_panel(shown, side), map_panel(shown, side, render)
    return side_by_side_figure(image, drawn, heading, bar, render.dpi)
