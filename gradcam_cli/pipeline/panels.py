"""An input and its map as panels of a figure or a grid, drawn at the size of the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import VIEWS, Shown
from gradcam_cli.pipeline.captions import color_limit

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation


def shown(explanation: Explanation, render: RenderOptions | None = None) -> Shown:
    """Return what the views of `output.views` draw; without `render`, for a picture without the map's colors."""
    return Shown(
        explanation.image,
        explanation.heatmap,
        explanation.crop_box,
        explanation.space,
        explanation.peak,
        color_limit(explanation.heatmap, explanation.method, render) if render else 1.0,
        with_cells=explanation.settings.interpolation == "nearest",
        detection_box=explanation.detection_box,
    )


def image_panel(explanation: Explanation, side: int) -> np.ndarray:
    """Return the input in one picture with a longer side of at most `side` pixels, (h, w, 3) uint8."""
    return VIEWS[explanation.space.kind].image_panel(shown(explanation), side)


def map_panel(explanation: Explanation, side: int, render: RenderOptions) -> np.ndarray:
    """Return the input with its map, and the box of a detection, in a picture of the size of `image_panel`."""
    return VIEWS[explanation.space.kind].map_panel(shown(explanation, render), side, render)
