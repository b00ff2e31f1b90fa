"""The difference between the map of the predicted class and that of the true class: L_top - L_truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.console import escape_control_chars
from gradcam_cli.errors import UsageError
from gradcam_cli.methods.maps import paste_into_image, upsample
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.models.class_selection import TRUTH
from gradcam_cli.output.difference import difference_figure, difference_overlay
from gradcam_cli.output.figure_files import encode_figure

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


def signed_to_image(explanation: Explanation) -> np.ndarray:
    """Return the difference at the size of the image, (H, W) float32, in units of the score; zero outside the crop."""
    if explanation.difference is None:
        raise UsageError("a difference requires maps of the classes top and truth in one run")
    box, shape = explanation.map_box, explanation.image.shape[:2]
    size, interpolation = (box.y1 - box.y0, box.x1 - box.x0), explanation.settings.interpolation
    positive, negative = explanation.difference.clip(min=0), (-explanation.difference).clip(min=0)
    signed = upsample(positive, size, interpolation) - upsample(negative, size, interpolation)
    return paste_into_image(signed, box, (shape[0], shape[1]))


def encode_difference(explanation: Explanation, image_format: str, dpi: int, comment: str) -> bytes:
    """Return the picture of a difference.

    Raises:
        UsageError: the explanation has no difference.
    """
    signed = signed_to_image(explanation)
    truth = explanation.truth
    predicted, true = (str(truth.predicted), str(explanation.prediction)) if truth else ("top", "truth")
    limit = float(np.abs(explanation.difference).max()) if explanation.difference is not None else 0.0
    overlay = difference_overlay(explanation.image, signed, limit, explanation.crop_box)
    has_unit = METHODS[explanation.method].kind == "cam"
    unit = f", in units of the {explanation.settings.score}" if has_unit else ""
    lines = [f"map of {predicted} minus map of {true}", f"{explanation.method} · {explanation.layer}{unit}"]
    if truth and truth.state == "right":
        lines[0] = f"no difference: the prediction {predicted} is right"
    title = "\n".join(map(escape_control_chars, lines))
    figure = difference_figure(explanation.image, overlay, limit, title, (true, predicted), dpi)
    return encode_figure(figure, image_format, comment)
