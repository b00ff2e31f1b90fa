"""What is asked of a run, and a run made ready: layers found, classes resolved, network compiled."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_cli.console import log
from gradcam_cli.methods import registry
from gradcam_cli.models.class_selection import Requested, resolve_classes
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.batch_size import default_batch_size
from gradcam_cli.network.gradients import Network
from gradcam_cli.network.layers import default_layer, find_layer, plane_layers
from gradcam_cli.network.precision import choose_precision
from gradcam_cli.network.scorer import Probe
from gradcam_cli.pipeline.config import Request
from gradcam_cli.pipeline.results import Setting


@dataclass(frozen=True)
class Run:
    """A classifier and a request made ready: layers found, classes resolved, network compiled."""

    classifier: Classifier
    request: Request
    layers: dict[str, str]  # path -> as asked
    classes: list[Requested]
    batch_size: int
    precision: str
    network: Network
    probes: list[Probe]  # one a layer

    @cached_property
    def black(self) -> np.ndarray:
        """A black image as the network's input, (h, w, c) float32."""
        black: np.ndarray = self.classifier.prepare(np.zeros((1, *self.classifier.input_shape), np.uint8))[0]
        return black

    @cached_property
    def maps(self) -> list[tuple[int, str, int]]:
        """Place of the layer, method, and place of the class of every map of an image."""
        return [
            (layer, method, c)
            for layer in range(len(self.layers))
            for method in self.request.methods
            for c in range(len(self.classes))
            if registry.METHODS[method].uses_layer or layer == 0
        ]

    @cached_property
    def setting(self) -> Setting:
        """What holds for every map of the run."""
        classifier, request = self.classifier, self.request
        return Setting(
            model=classifier.name,
            weights=classifier.weights,
            weights_hash=classifier.weights_hash,
            score=request.score,
            fit=request.fit,
            preprocessing=classifier.preprocessing,
            precision=self.precision,
            batch_size=self.batch_size,
            zoom_order=request.zoom_order,
            counterfactual=request.counterfactual,
            smooth=request.smooth,
        )


def prepare_run(classifier: Classifier, request: Request) -> Run:
    """Check a request against a classifier, before the first image is read.

    Raises:
        UsageError: a layer or a class that the model does not have, or a precision that the machine has not.
        ModelError: no layer has a plane, or the logit cannot be reached.
    """
    if request.counterfactual:
        registry.check_counterfactual(request.methods)
    layers: dict[str, str] = {}
    for asked in request.layers:
        path = _default(classifier) if asked == "auto" else find_layer(classifier.model, asked)[0]
        layers.setdefault(path, asked)
    classes = resolve_classes(request.classes, classifier.labels, classifier.class_count)
    precision = choose_precision(request.precision)
    batch_size = request.batch_size or default_batch_size(classifier.model, classifier.input_shape)
    network = classifier.network(tuple(layers), request.score, precision)
    for method in set(request.methods) & set(registry.names_of_kind("attribution")):
        log.info("%s: %s, for each image and class", method, registry.METHODS[method].cost)
    probes = [Probe(classifier.model, path, request.score, precision, batch_size) for path in layers]
    return Run(classifier, request, layers, classes, batch_size, precision, network, probes)


def _default(classifier: Classifier) -> str:
    return default_layer(plane_layers(classifier.model, classifier.input_shape))
