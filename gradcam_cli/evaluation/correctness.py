"""Which images were mended or broken between two runs: right and wrong predictions before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradcam_cli.models.labels import normalize_name
from gradcam_cli.pipeline.truth import state_of

BROKEN = "broken"
"""The drift measure: the fraction of images that were right before and are wrong after."""
CORRECTNESS = {
    "mended": "wrong before, right after",
    BROKEN: "right before, wrong after",
    "right": "right in both",
    "wrong": "wrong in both",
    "unknown": "true class unknown, or another one in the other run",
}
"""What can happen to an image, with its meaning."""
_BY_STATES = {
    ("wrong", "right"): "mended",
    ("right", "wrong"): BROKEN,
    ("right", "right"): "right",
    ("wrong", "wrong"): "wrong",
}


def correctness(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """Return what happened to an image, a key of `CORRECTNESS`.

    Args:
        before: JSON object of its true class and its prediction in the first run, or None.
        after: the same of the second run.
    """
    if before is None or after is None or not _same_class(before, after):
        return "unknown"
    return _BY_STATES.get((state_of(before), state_of(after)), "unknown")


def _same_class(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether two runs give an image the same true class; models may have other indices for it."""
    names = [truth["class_name"] or str(truth["class_index"]) for truth in (before, after)]
    return normalize_name(names[0]) == normalize_name(names[1])


def describe(truth: Mapping[str, Any], which: str) -> str:
    """Return the `class` or the `predicted` class of a JSON object: `281 tabby`."""
    index, name = truth[f"{which}_index"], truth.get(f"{which}_name")
    return f"{index} {name}" if name not in (None, str(index)) else str(index)
