"""The straight line over many images: photos, what the network sees of them, one pass a batch, maps, explanations.

The stages are apart so that they may overlap: `see` and `explain` are for any thread, `score` is
for the one that drives the network.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from gradcam_cli import cam, images, maps
from gradcam_cli.batches import default_batch_size
from gradcam_cli.errors import InputError
from gradcam_cli.labels import Requested, resolve_classes
from gradcam_cli.layers import default_layer, find_layer, plane_layers
from gradcam_cli.models import Classifier
from gradcam_cli.network import Network, Pass
from gradcam_cli.photos import Photo
from gradcam_cli.precision import choose_precision
from gradcam_cli.results import Explanation, Prediction, Setting, Unexplained
from gradcam_cli.views import Box, view_of

BESIDE = "its positive cells lie beside the photo, in the bars, or between the photo's few pixels"


@dataclass(frozen=True)
class Request:
    """What is asked of a run; the options of `gradcam explain` of the same names.

    Attributes:
        layers: paths, or `auto`.
        classes: indices, names, `top`, `topN`.
        methods: names in `cam.METHODS`.
        score: `logit` or `softmax`.
        fit: `squash`, `crop` or `pad`.
        zoom_order: 0..3.
        top: how many predictions to list.
        batch_size: images a pass; None chooses by the model's size and the memory that is free.
        precision: a name in `precision.PRECISIONS`.
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

    @cached_property
    def setting(self) -> Setting:
        """What holds for every map of the run; waits for the hash of the weights."""
        classifier, request = self.classifier, self.request
        return Setting(
            model=classifier.name,
            weights=classifier.weights,
            weights_sha256=classifier.weights_hash.result() if classifier.weights_hash else None,
            score=request.score,
            fit=request.fit,
            preprocessing=classifier.preprocessing,
            precision=self.precision,
            batch_size=self.batch_size,
            zoom_order=request.zoom_order,
        )


def prepare_run(classifier: Classifier, request: Request) -> Run:
    """Check a request against a classifier, before the first image is read.

    Raises:
        UsageError: a layer or a class that the model does not have, or a precision that the machine has not.
        ModelError: no layer has a plane, or the logit cannot be reached.
    """
    layers: dict[str, str] = {}
    for asked in request.layers:
        path = _default(classifier) if asked == "auto" else find_layer(classifier.model, asked)[0]
        layers.setdefault(path, asked)
    classes = resolve_classes(request.classes, classifier.labels, classifier.class_count)
    precision = choose_precision(request.precision)
    batch_size = request.batch_size or default_batch_size(classifier.model, classifier.input_shape)
    network = classifier.network(tuple(layers), request.score, precision)
    return Run(classifier, request, layers, classes, batch_size, precision, network)


def _default(classifier: Classifier) -> str:
    return default_layer(plane_layers(classifier.model, classifier.input_shape))


class Seen(NamedTuple):
    """A photo and what the network sees of it.

    Attributes:
        photo: as it was decoded.
        view: the part of it that is seen.
        pixels: (h, w, c) uint8, the network's input before preprocessing.
    """

    photo: Photo
    view: Box
    pixels: np.ndarray


class Scored(NamedTuple):
    """A photo after its pass: all that its maps are made of.

    Attributes:
        photo: as it was decoded.
        view: the part of it that the network saw.
        result: of the whole batch.
        i: the photo's place in the batch.
        seconds: its share of the time that the pass took.
    """

    photo: Photo
    view: Box
    result: Pass
    i: int
    seconds: float


def explain_photos(run: Run, photos: Iterable[Photo | Unexplained]) -> Iterator[list[Explanation] | Unexplained]:
    """Explain photos batch by batch, one stage after the other; failures pass through at their place."""
    for scored in score(run, (see(run, photo) for photo in photos)):
        yield explain(run, scored)


def see(run: Run, photo: Photo | Unexplained) -> Seen | Unexplained:
    """Bring a photo to the network's input; a failure passes through."""
    if isinstance(photo, Unexplained):
        return photo
    h, w, channels = run.classifier.input_shape
    view = view_of(photo.pixels.shape[:2], (h, w), run.request.fit)
    return Seen(photo, view, images.see(photo.pixels, view, (h, w), channels))


def score(run: Run, photos: Iterable[Seen | Unexplained]) -> Iterator[Scored | Unexplained]:
    """Pass photos through the network batch by batch, in their order; failures pass through at their place.

    All batches have the size of the first, the last one is padded, so that nothing is compiled twice.
    """
    size = 0
    for batch in _batches(photos, run.batch_size):
        good = [seen for seen in batch if isinstance(seen, Seen)]
        size = size or len(good)
        scored = iter(_score_batch(run, good, size) if good else ())
        for seen in batch:
            yield next(scored) if isinstance(seen, Seen) else seen


def _batches(photos: Iterable[Seen | Unexplained], size: int) -> Iterator[list[Seen | Unexplained]]:
    """Yield runs of photos that hold `size` good ones, the last one fewer."""
    batch: list[Seen | Unexplained] = []
    for seen in photos:
        batch.append(seen)
        if sum(isinstance(other, Seen) for other in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _score_batch(run: Run, photos: list[Seen], size: int) -> list[Scored]:
    start = time.perf_counter()
    pixels = [seen.pixels for seen in photos]
    x = run.classifier.prepare(np.stack(pixels + [pixels[-1]] * (size - len(pixels))))
    codes = np.tile(np.array([requested.code for requested in run.classes], np.int32), (size, 1))
    result = run.network(x, codes)
    seconds = (time.perf_counter() - start) / len(photos)
    return [Scored(seen.photo, seen.view, result, i, seconds) for i, seen in enumerate(photos)]


def explain(run: Run, scored: Scored | Unexplained) -> list[Explanation] | Unexplained:
    """Make the maps of a photo: for every layer, method and class one explanation; a failure passes through."""
    if isinstance(scored, Unexplained):
        return scored
    try:
        return [
            _explanation(run, scored, layer, method, c)
            for layer in range(len(run.layers))
            for method in run.request.methods
            for c in range(len(run.classes))
        ]
    except InputError as error:
        return Unexplained(scored.photo.name, error.message, error.hint)


def _explanation(run: Run, scored: Scored, layer: int, method: str, c: int) -> Explanation:
    start = time.perf_counter()
    photo, view, result, i, seconds = scored
    path, asked = list(run.layers.items())[layer]
    A, dA = result.A[layer][i], result.dA[layer][c, i]
    computed = cam.METHODS[method](A, dA)
    if not np.isfinite(computed.L).all():
        raise InputError("the network's answer to this image is not finite: expected numbers, got NaN or infinity")
    map_ = maps.enlarge(computed.L, (view.y1 - view.y0, view.x1 - view.x0), run.request.zoom_order)
    map_ = maps.normalise(maps.place(map_, view, photo.pixels.shape[:2]))
    scores = result.probabilities if result.logits is None else result.logits
    ranked = np.argsort(-scores[i], kind="stable")[: run.request.top]
    return Explanation(
        source=photo.name,
        sha256=photo.sha256,
        photo=photo.pixels,
        map=map_,
        raw=computed.L,
        alpha=computed.alpha,
        view=view,
        prediction=_prediction(run, result, i, int(result.classes[i, c])),
        top=tuple(_prediction(run, result, i, int(index)) for index in ranked),
        layer=path,
        method=method,
        requested=(asked, method, run.classes[c].text),
        zero=cam.why_zero(A, dA, computed) or (None if map_.any() else BESIDE),
        setting=run.setting,
        seconds={"decode": photo.seconds, "network": seconds, "map": time.perf_counter() - start},
    )


def _prediction(run: Run, result: Pass, i: int, index: int) -> Prediction:
    labels = run.classifier.labels
    logit = None if result.logits is None else float(result.logits[i, index])
    return Prediction(index, labels.name(index), labels.id(index), logit, float(result.probabilities[i, index]))
