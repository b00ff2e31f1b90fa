"""The function `layers` of the Python package: the layers of a model, and which of them can be explained."""

from __future__ import annotations

import os
from typing import Any

import keras

from gradcam_cli.console import ANNOUNCE, log
from gradcam_cli.errors import ModelError
from gradcam_cli.keywords import python_function
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.weights import UNTRAINED
from gradcam_cli.network.layer_info import Layer, layer_info
from gradcam_cli.network.target import parse_target
from gradcam_cli.output.html_table import html_table
from gradcam_cli.pipeline.announcement import announce, describe_choices
from gradcam_cli.pipeline.api_options import classifier_of

LAYER_OPTIONS = ("input_size", "allow_unsafe", "packages", "other_inputs")
"""The keywords of `load_model` that `layers` accepts."""


class Layers(tuple[Layer, ...]):
    """The layers of a model in call order; a notebook shows them as a table."""

    @property
    def default(self) -> Layer | None:
        """The layer `auto`, or None if no layer can be explained."""
        return next((layer for layer in self if layer.default), None)

    def __repr__(self) -> str:
        usable = sum(layer.excluded is None for layer in self)
        default = f", auto is {self.default.path}" if self.default else ""
        return f"<Layers: {len(self)}, of which {usable} can be explained{default}>"

    def _repr_html_(self) -> str:
        return html_table([layer._asdict() for layer in self], max_rows=len(self))


@python_function(*LAYER_OPTIONS)
def layers(
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19", *, target: str = "class", **options: Any
) -> Layers:
    """List the layers of a model, and which of them can be explained, as `gradcam layers` does.

    Weights of a named model are neither searched nor downloaded.

    Args:
        model: as for `explain`.
        target: what is explained; see `explain`.
        **options: `input_size`, `allow_unsafe`, `packages` and `other_inputs`, as for `load_model`.

    Returns:
        A tuple of `Layer`, in call order: `path`, `shape` (u, v, k) or (tokens, k), `num_params`, `excluded`, why the
        layer cannot be explained, or None, and `default`, whether it is the layer `auto`.

    Raises:
        UsageError: the target or an option value is wrong.
        ModelError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    if not isinstance(model, Classifier):
        options |= {"weights": UNTRAINED, "offline": True}
    return list_layers(classifier_of(model, options), target)


def list_layers(classifier: Classifier, target: str = "class") -> Layers:
    """Return the layers of a model, and announce the model; a model without a layer `auto` is logged.

    Raises:
        UsageError, ModelError: the model has no such target.
    """
    if target != "class":
        classifier = classifier.for_target(parse_target(target), target)
    try:
        chosen = [classifier.find_layer("auto")]
    except ModelError as error:
        log.warning("%s", error.message)
        chosen = []
    announcement = describe_choices(classifier, [("auto", layer) for layer in chosen])
    announce(classifier, announcement._replace(level=ANNOUNCE))  # no image depends on a guess
    default = chosen[0].path if chosen else None
    listed = (layer_info(output, classifier.check_layer) for output in classifier.layer_outputs)
    return Layers(layer._replace(default=layer.path == default) for layer in listed)
