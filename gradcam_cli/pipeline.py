"""The straight line over many images: sources, photos, one pass a batch, maps, explanations."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcam_cli import cam, images, maps
from gradcam_cli.errors import InputError
from gradcam_cli.labels import Requested, resolve_classes
from gradcam_cli.layers import default_layer, find_layer, plane_layers
from gradcam_cli.models import Classifier
from gradcam_cli.network import Network, Pass
from gradcam_cli.photos import Photo
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
        batch_size: images a pass.
    """

    layers: Sequence[str] = ("auto",)
    classes: Sequence[str | int] = ("top",)
    methods: Sequence[str] = ("gradcam",)
    score: str = "logit"
    fit: str = "squash"
    zoom_order: int = 1
    top: int = 5
    batch_size: int = 8


@dataclass(frozen=True)
class Run:
    """A classifier and a request made ready: layers found, classes resolved, network compiled."""

    classifier: Classifier
    request: Request
    layers: dict[str, str]  # path -> as asked
    classes: list[Requested]
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
            precision="float32",
            zoom_order=request.zoom_order,
        )


def prepare_run(classifier: Classifier, request: Request) -> Run:
    """Check a request against a classifier, before the first image is read.

    Raises:
        UsageError: a layer or a class that the model does not have.
        ModelError: no layer has a plane, or the logit cannot be reached.
    """
    layers: dict[str, str] = {}
    for asked in request.layers:
        path = _default(classifier) if asked == "auto" else find_layer(classifier.model, asked)[0]
        layers.setdefault(path, asked)
    classes = resolve_classes(request.classes, classifier.labels, classifier.class_count)
    return Run(classifier, request, layers, classes, classifier.network(tuple(layers), request.score))


def _default(classifier: Classifier) -> str:
    return default_layer(plane_layers(classifier.model, classifier.input_shape))


def explain_photos(run: Run, photos: Iterable[Photo | Unexplained]) -> Iterator[list[Explanation] | Unexplained]:
    """Explain photos batch by batch, in their order; failures pass through at their place.

    Each image gives a list: for every layer, method and class one explanation. All batches have the
    size of the first, the last one is padded, so that nothing is compiled twice.
    """
    size = 0
    for batch in _batches(photos, run.request.batch_size):
        good = [photo for photo in batch if isinstance(photo, Photo)]
        size = size or len(good)
        explained = iter(_explain_batch(run, good, size)) if good else iter(())
        for photo in batch:
            yield next(explained) if isinstance(photo, Photo) else photo


def _batches(photos: Iterable[Photo | Unexplained], size: int) -> Iterator[list[Photo | Unexplained]]:
    """Yield runs of photos that hold `size` good ones, the last one fewer."""
    batch: list[Photo | Unexplained] = []
    for photo in photos:
        batch.append(photo)
        if sum(isinstance(other, Photo) for other in batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _explain_batch(run: Run, photos: list[Photo], size: int) -> Iterator[list[Explanation] | Unexplained]:
    h, w, channels = run.classifier.input_shape
    start = time.perf_counter()
    views = [view_of(photo.pixels.shape[:2], (h, w), run.request.fit) for photo in photos]
    seen = [images.see(photo.pixels, view, (h, w), channels) for photo, view in zip(photos, views, strict=True)]
    x = run.classifier.prepare(np.stack(seen + [seen[-1]] * (size - len(seen))))
    codes = np.tile(np.array([requested.code for requested in run.classes], np.int32), (size, 1))
    result = run.network(x, codes)
    seconds = (time.perf_counter() - start) / len(photos)
    for i, (photo, view) in enumerate(zip(photos, views, strict=True)):
        try:
            yield [
                _explanation(run, photo, view, result, (i, layer, c), method, seconds)
                for layer in range(len(run.layers))
                for method in run.request.methods
                for c in range(len(run.classes))
            ]
        except InputError as error:
            yield Unexplained(photo.name, error.message, error.hint)


def _explanation(
    run: Run, photo: Photo, view: Box, result: Pass, place: tuple[int, int, int], method: str, seconds: float
) -> Explanation:
    start = time.perf_counter()
    i, layer, c = place
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
