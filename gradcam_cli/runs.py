"""What is asked of a run, and a run made ready: layers found, classes resolved, network compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_cli import attribution, methods
from gradcam_cli.batches import default_batch_size
from gradcam_cli.labels import Requested, resolve_classes
from gradcam_cli.layers import default_layer, find_layer, plane_layers
from gradcam_cli.messages import log
from gradcam_cli.models import Classifier
from gradcam_cli.network import Network
from gradcam_cli.precision import choose_precision
from gradcam_cli.probe import Probe
from gradcam_cli.results import Setting


@dataclass(frozen=True)
class Request:
    """What is asked of a run; the options of `gradcam explain` of the same names.

    Attributes:
        layers: paths, or `auto`.
        classes: indices, names, `top`, `topN`.
        methods: names in `methods.NAMES`.
        score: `logit` or `softmax`.
        fit: `squash`, `crop` or `pad`.
        zoom_order: 0..3.
        top: how many predictions to list.
        batch_size: images a pass; None chooses by the model's size and the memory that is free.
        precision: a name in `precision.PRECISIONS`.
        counterfactual: whether the gradients are negated: what speaks against the class (Selvaraju et al. 2017, 3.3).
        smooth: whether maps are averaged over mirrored, darker and brighter copies of the photo.
        channels: how many channels Score-CAM masks with; None takes all.
    """

    layers: Sequence[str] = ("auto",)
    classes: Sequence[str | int] = ("top",)
    methods: Sequence[str] = ("gradcam",)
    score: str = "logit"
    fit: str = "squash"
    zoom_order: int = 1
    top: int = 5
    batch_size: int | None = None
    precision: str = "float32"
    counterfactual: bool = False
    smooth: bool = False
    channels: int | None = None


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
            if methods.has_plane(method) or layer == 0
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
        methods.check_counterfactual(request.methods)
    layers: dict[str, str] = {}
    for asked in request.layers:
        path = _default(classifier) if asked == "auto" else find_layer(classifier.model, asked)[0]
        layers.setdefault(path, asked)
    classes = resolve_classes(request.classes, classifier.labels, classifier.class_count)
    precision = choose_precision(request.precision)
    batch_size = request.batch_size or default_batch_size(classifier.model, classifier.input_shape)
    network = classifier.network(tuple(layers), request.score, precision)
    for method in set(request.methods) & set(attribution.METHODS):
        log.info("%s: %s, for each image and class", method, attribution.METHODS[method].cost)
    probes = [Probe(classifier.model, path, request.score, precision, batch_size) for path in layers]
    return Run(classifier, request, layers, classes, batch_size, precision, network, probes)


def _default(classifier: Classifier) -> str:
    return default_layer(plane_layers(classifier.model, classifier.input_shape))
