"""What figures and grids say about a map: headings, the size of the layer, and the scale of the colors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcam_cli.methods.registry import PIXEL_METHODS
from gradcam_cli.models.catalog import is_model_path
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.colors import clip_limit
from gradcam_cli.output.render_options import PIXEL_CLIP, RenderOptions
from gradcam_cli.storage.paths import basename

if TYPE_CHECKING:
    import numpy as np

    from gradcam_cli.pipeline.results import Explanation

COARSE_SIDE = 5
"""Maps of fewer cells than with this number along each axis are called coarse: a cell is a fifth of the image wide."""
MAX_CONTRASTED = 5
"""Contrasted classes that figures name."""
SCORE_UNITS = frozenset({"gradcam", "hirescam", "layercam", "xgradcam", "gradcam++"})
"""Methods whose maps are sums of activations times gradients, in units of the score."""


def image_name(explanation: Explanation) -> str:
    """Return the name of the image without its folder."""
    return "standard input" if explanation.source == "-" else basename(explanation.source)


def model_label(name: str) -> str:
    """Return the name of a model; that of a file without its folder."""
    return basename(name) if is_model_path(name) else name


def layer_label(explanation: Explanation) -> str:
    """Return the layer and its size: `block5_conv4 14x14`, and whether it is coarse; or the number of windows."""
    if explanation.windows:
        return f"{explanation.layer} in {explanation.windows} windows"
    cam = explanation.cam
    size = "x".join(map(str, cam.shape))
    coarse = f" · {size} cells: coarse" if cam.size < COARSE_SIDE**cam.ndim else ""
    return f"{explanation.layer} {size}{coarse}"


def class_label(explanation: Explanation) -> str:
    """Return the class with its probability or value, and the target unless it is `class`."""
    target = explanation.settings.target
    return f"{explanation.prediction.label}{f' · {target}' if target != 'class' else ''}"


def method_label(explanation: Explanation) -> str:
    """Return the method, the layer with its size, and the model."""
    method = f"{explanation.method}{' (counterfactual)' if explanation.settings.counterfactual else ''}"
    return f"{method} · {layer_label(explanation)} · {model_label(explanation.model.name)}"


def contrast_label(explanation: Explanation) -> list[str]:
    """Return the line that names the contrasted classes and their weight; none without a contrast."""
    against = explanation.prediction.against
    if not against:
        return []
    listed = ", ".join(map(str, against[:MAX_CONTRASTED])) + (", ..." if against[MAX_CONTRASTED:] else "")
    mean = "the mean of " if len(against) > 1 else ""
    return [f"against {explanation.settings.gamma:g} times {mean}{listed}"]


def heading(explanation: Explanation) -> list[str]:
    """Return the lines above a figure: image; class; contrast; method, layer and model; why a map is zero."""
    lines = [
        image_name(explanation),
        class_label(explanation),
        *contrast_label(explanation),
        method_label(explanation),
    ]
    return [*lines, *(["the map is zero everywhere"] if explanation.zero_reason else [])]


def color_limit(heatmap: np.ndarray, method: str, options: RenderOptions) -> float:
    """Return the value of a heatmap (H, W) of a method from which on the color is the last one, 0..1."""
    default = PIXEL_CLIP if method in PIXEL_METHODS else 0.0
    return clip_limit(heatmap, default if options.clip is None else options.clip)


def color_bar(explanation: Explanation, options: RenderOptions) -> ColorBar:
    """Return the color bar of a map, from 0 to its largest value in the units of the method.

    The colors are those of the heatmap, whose largest value `heatmap_max` differs a little from that of the map: the
    centers of the pixels are not those of the cells, and the largest cell may lie outside the image.
    """
    largest = explanation.heatmap_max
    end = max(float(explanation.cam.max()), largest) if largest else 0.0
    limit = color_limit(explanation.heatmap, explanation.method, options) * largest
    unit = f" ({explanation.settings.score})" if explanation.method in SCORE_UNITS else ""
    return ColorBar(end, limit, f"{explanation.method}{unit}", options, largest=largest)


def grid_color_bar(options: RenderOptions) -> ColorBar:
    """Return the color bar of maps of different scales: from 0 to the maximum of each."""
    return ColorBar(1.0, 1.0, "each map divided by its maximum", options, end_label="max")
