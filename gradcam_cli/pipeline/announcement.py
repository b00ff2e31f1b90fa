"""The line that each run prints: what was chosen for the model, and why."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from gradcam_cli.console import ANNOUNCE, Announcement, log
from gradcam_cli.errors import ModelError
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.preprocessing import reverses_channels
from gradcam_cli.network.layer_trace import LayerOutput


def describe_choices(classifier: Classifier, layers: Iterable[tuple[str, LayerOutput]]) -> Announcement:
    """Return a line with the input, the preprocessing, the classes and the layers of a run.

    Args:
        classifier: the model.
        layers: the layers, each as requested and its output.
    """
    choice = classifier.preprocess_choice
    reason = f"a guess, {choice.reason}; set it with --preprocess" if choice.guess else choice.reason
    listed = [f"{output.path} {'x'.join(map(str, output.shape))}{_if_auto(name)}" for name, output in layers]
    parts = [
        _describe_input(classifier),
        f"preprocessing {choice.mode} ({reason})",
        _describe_classes(classifier),
        *([f"layer{'s' * (len(listed) > 1)} {', '.join(listed)}"] if listed else []),
    ]
    return Announcement(logging.WARNING if choice.guess else ANNOUNCE, f"{classifier.name}: {', '.join(parts)}")


def announce(classifier: Classifier, announcement: Announcement) -> None:
    """Log a line about a model, once."""
    if announcement.text not in classifier.announced:
        classifier.announced.add(announcement.text)
        log.log(announcement.level, "%s", announcement.text)


def _if_auto(requested: str) -> str:
    return " (auto)" if requested == "auto" else ""


def _describe_input(classifier: Classifier) -> str:
    *sides, c = classifier.input_shape
    color = "BGR" if reverses_channels(classifier.preprocess_mode) else "RGB"
    colors = {1: "grayscale", 3: color} if classifier.rank == 2 else {}
    channels = colors.get(c, f"with {c} channel{'s' * (c != 1)}")
    shape = getattr(classifier.model, "input_shape", None)
    variable = isinstance(shape, tuple) and None in shape[1:-1]
    others = f", other inputs {classifier.other_inputs}" if classifier.other_inputs else ""
    size = "x".join(map(str, sides))
    return f"input {size} {channels}" + " (the model accepts other sizes: --input-size)" * variable + others


def _describe_classes(classifier: Classifier) -> str:
    try:
        count = classifier.class_count
    except ModelError:  # several outputs
        return "no classes"
    if classifier.is_regression:
        return "a single value without classes"
    source = f"with names from {classifier.labels.source}" if classifier.labels.source else "without names"
    return f"{count:,} classes {source}"
