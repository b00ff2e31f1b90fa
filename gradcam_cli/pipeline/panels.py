"""An image and its map as panels of a figure or a grid, drawn at the size of the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.images.boxes import draw_box
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.scaling import panel_size, scale_box, scale_image, scale_map
from gradcam_cli.pipeline.captions import color_limit

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation


def image_panel(explanation: Explanation, side: int) -> np.ndarray:
    """Return the image with a longer side of at most `side` pixels, (h, w, 3) uint8."""
    return scale_image(explanation.image, panel_size(explanation.image.shape, side))


def map_panel(explanation: Explanation, side: int, render: RenderOptions) -> np.ndarray:
    """Return the image with the map and the box of a detection drawn over it, of the size of `image_panel`.

    Large images are not drawn at their own size first, and lines have the same width on all images.
    """
    image, old = image_panel(explanation, side), explanation.image.shape
    with_cells = explanation.settings.interpolation == "nearest"
    heatmap = scale_map(explanation.heatmap, image.shape[:2], with_cells=with_cells)
    crop_box = explanation.crop_box if image.shape == old else scale_box(explanation.crop_box, old, image.shape)
    limit = color_limit(explanation.heatmap, explanation.method, render)
    pixels = overlay(image, heatmap, crop_box, render, limit)
    if explanation.detection_box:
        draw_box(pixels, scale_box(explanation.detection_box, old, image.shape))
    return pixels
