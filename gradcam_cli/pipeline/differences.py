"""The difference between the map of the predicted class and that of the true class: L_top - L_truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.methods.maps import bounding_box, paste_into_image, peak, to_image, upsample
from gradcam_cli.models.class_selection import TRUTH
from gradcam_cli.output.color_bar import ColorBar
from gradcam_cli.output.colors import overlay
from gradcam_cli.output.difference import SignedBar, difference_figure, difference_overlay
from gradcam_cli.output.figure_files import encode_figure
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline import captions

if TYPE_CHECKING:
    from gradcam_cli.pipeline.results import Explanation

TOP = "top1"
"""The request for the predicted class."""


def with_differences(explanations: Sequence[Explanation]) -> list[Explanation]:
    """Return the maps of an image; those of its true class get their difference from the predicted class.

    Args:
        explanations: of all layers, methods and classes; the difference is taken between maps of one layer and method.
    """
    predicted = {e.request_key[:2]: e for e in explanations if e.request_key[2] == TOP}
    return [
        replace(e, difference=top.cam - e.cam)
        if e.request_key[2] == TRUTH and e.truth and (top := predicted.get(e.request_key[:2]))
        else e
        for e in explanations
    ]


def difference_summary(explanation: Explanation) -> dict[str, Any] | None:
    """Return the predicted class with its map, and where each of the two maps is larger; None without a difference.

    The map of the predicted class is that of the explanation plus the difference.
    """
    if explanation.difference is None or explanation.truth is None:
        return None
    difference = explanation.difference
    return {
        "predicted": explanation.truth.predicted.to_json(),
        "predicted_map": _place(explanation, explanation.cam + difference),
        "for_predicted": _place(explanation, difference),
        "for_true": _place(explanation, -difference),
    }


def _place(explanation: Explanation, L: np.ndarray) -> dict[str, Any]:
    """Return the maximum of the positive values of a map (u, v), and its peak and box in the image."""
    L = np.ascontiguousarray(L.clip(min=0))
    heatmap = to_image(L, explanation.map_box, explanation.heatmap.shape, explanation.settings.interpolation)
    return {"raw_max": float(L.max()), "peak": peak(heatmap), "box": bounding_box(heatmap)}


def signed_to_image(explanation: Explanation) -> np.ndarray:
    """Return the difference at the size of the image, (H, W) float32, in units of the score; zero outside the crop."""
    if explanation.difference is None:
        raise UsageError("a difference requires maps of the classes top and truth in one run")
    positive, negative = explanation.difference.clip(min=0), (-explanation.difference).clip(min=0)
    signed: np.ndarray = _upsampled(explanation, positive) - _upsampled(explanation, negative)
    return signed


def _upsampled(explanation: Explanation, L: np.ndarray) -> np.ndarray:
    """Return a map (u, v) at the size of the image, (H, W), in its units."""
    box = explanation.map_box
    upsampled = upsample(L, box.shape, explanation.settings.interpolation)
    return paste_into_image(upsampled, box, explanation.heatmap.shape)


def encode_difference(explanation: Explanation, image_format: str, render: RenderOptions, comment: str) -> bytes:
    """Return the picture of a difference, with both maps on one scale.

    Raises:
        UsageError: the explanation has no difference.
    """
    signed, truth = signed_to_image(explanation), explanation.truth
    if explanation.difference is None or truth is None or truth.true is None:
        raise UsageError("a difference requires maps of the classes top and truth in one run")
    maps = [_upsampled(explanation, L) for L in (explanation.cam + explanation.difference, explanation.cam)]
    end, limit = max(float(L.max()) for L in maps), float(np.abs(explanation.difference).max())
    image, crop_box = explanation.image, explanation.crop_box
    word = "expected" if truth.expected else "true class"
    predicted, true = f"predicted {truth.predicted.label}", f"{word} {truth.true.label} · rank {truth.rank}"
    difference = f"predicted minus {word}"
    if truth.state == "right":
        difference = f"no difference: the prediction is {'as expected' if truth.expected else 'right'}"
    captions_of_panels = (predicted, true, "image", difference)
    panels = [overlay(image, L / (end or 1.0), crop_box, render, 1.0) for L in maps]
    panels += [image, difference_overlay(image, signed, limit, crop_box)]
    unit = f" ({explanation.settings.score})" if explanation.method in captions.SCORE_UNITS else ""
    figure = difference_figure(
        list(zip(captions_of_panels, panels, strict=True)),
        [captions.image_name(explanation), *_contrast(explanation), captions.method_label(explanation)],
        ColorBar(end, end, f"{explanation.method}{unit}", render),
        SignedBar(limit, f"difference{unit}"),
        render.dpi,
    )
    return encode_figure(figure, image_format, comment)


def _contrast(explanation: Explanation) -> list[str]:
    settings = explanation.settings
    return [f"each against {settings.gamma:g} times {', '.join(settings.against)}"] if settings.against else []
