"""Maps measured: for every photo and every map the values of the metrics, with those of maps that know nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.annotations.masks import Annotation, region
from gradcam_cli.evaluation.metrics import faithfulness, localization
from gradcam_cli.evaluation.metrics.registry import FAITHFULNESS
from gradcam_cli.evaluation.metrics.summary import WITHOUT_RELU, Row
from gradcam_cli.images import fit
from gradcam_cli.images.load import Photo, Unexplained
from gradcam_cli.methods import maps
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.network.scorer import Probe
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.parallel import in_order
from gradcam_cli.pipeline.results import Explanation, finite
from gradcam_cli.pipeline.run import Run


class Item(NamedTuple):
    """A photo and what to evaluate on it.

    Attributes:
        photo: decoded, or the reason why it is not.
        classes: the classes that the annotations may mean; the most probable of them is explained. None for the
            class of the run.
        annotations: where the class is.
    """

    photo: Photo | Unexplained
    classes: tuple[int, ...] | None = None
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """How maps are measured.

    Attributes:
        metrics: names in `metrics.tables.METRICS`.
        steps: of deletion and insertion.
        base: what takes the place of deleted pixels, a name in `faithfulness.BASES`.
        tolerance: of the pointing game, in pixels of the photo.
        seed: of ROAD's noise.
        without_relu: whether each method of the layer is measured without its ReLU, too.
    """

    metrics: Sequence[str]
    steps: int = faithfulness.STEPS
    base: str = "blur"
    tolerance: int = 0
    seed: int = 0
    without_relu: bool = False


@dataclass(frozen=True)
class Evaluation:
    """A run and a protocol; the network is asked by one thread at a time, pictures are made by several.

    Attributes:
        run: made ready, with the maps that are measured.
        protocol: how they are measured.
        draw: makes pictures of a photo's maps and returns what a report says of each; None makes none.
    """

    run: Run
    protocol: Protocol
    draw: Callable[[Sequence[Explanation]], list[dict[str, Any]]] | None = None

    def rows(self, items: Iterable[Item], workers: int) -> Iterator[list[Row] | Unexplained]:
        """Measure all maps of each photo, in order; failures pass through at their place."""
        waiting: list[Item] = []

        def seen() -> Iterator[stages.Seen | Unexplained]:
            for item in items:
                waiting.append(item)
                yield self._see(item)

        def scored() -> Iterator[tuple[Item, stages.Scored | Unexplained]]:
            stream = stages.score(self.run, seen())
            while True:
                with self._network:
                    one = next(stream, None)
                if one is None:
                    return
                yield waiting.pop(0), one

        with ThreadPoolExecutor(workers) as pool:
            yield from in_order(pool, self._measure, scored(), workers + 1)

    @cached_property
    def _network(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _probe(self) -> Probe:
        path = next(iter(self.run.layers))
        return Probe(self.run.classifier.model, path, "softmax", self.run.precision, self.run.batch_size)

    def _see(self, item: Item) -> stages.Seen | Unexplained:
        seen = stages.see(self.run, item.photo)
        if isinstance(seen, Unexplained) or item.classes is None:
            return seen
        chosen = item.classes[0]
        if len(item.classes) > 1:
            p = self._probe.scores(self.run.classifier.prepare(seen.pixels[None]))[0]
            chosen = max(item.classes, key=lambda class_: float(p[class_]))
        return seen._replace(classes=(chosen,))

    def _measure(self, pair: tuple[Item, stages.Scored | Unexplained]) -> list[Row] | Unexplained:
        item, scored = pair
        explained = stages.explain(self.run, scored)
        if isinstance(explained, Unexplained):
            return explained
        try:
            drawn = self._drawn(explained)
            return [row for one in explained for row in self._rows(item, one, drawn.get(id(one)))]
        except InputError as error:  # an outline of another size than the photo
            return Unexplained(explained[0].source, error.message, error.hint)

    def _drawn(self, explained: Sequence[Explanation]) -> dict[int, dict[str, Any]]:
        """Draw the maps that know something, if they are to be drawn; return what there is to say of each."""
        shown = [one for one in explained if METHODS[one.method].kind != "baseline"] if self.draw else []
        return dict(zip(map(id, shown), self.draw(shown), strict=True)) if self.draw and shown else {}

    def _rows(self, item: Item, one: Explanation, drawn: dict[str, Any] | None) -> Iterator[Row]:
        baseline = METHODS[one.method].kind == "baseline"
        row = self._row(item, one, one.method, baseline, one.map, self._input_map(one.raw))
        yield row._replace(report=drawn)
        if self.protocol.without_relu and not baseline and METHODS[one.method].kind == "cam":
            shape = one.view.y1 - one.view.y0, one.view.x1 - one.view.x0
            on_photo = maps.place(self._signed_map(one.signed, shape), one.view, one.photo.shape[:2])
            on_input = self._signed_map(one.signed, self._input_shape)
            yield self._row(item, one, one.method + WITHOUT_RELU, False, on_photo, on_input)

    def _row(
        self, item: Item, one: Explanation, method: str, baseline: bool, on_photo: np.ndarray, on_input: np.ndarray
    ) -> Row:
        found, curves = self._faithfulness(one, on_input) if one.method != "whole" else ({}, {})
        found.update(self._localisation(item, one, on_photo) if item.annotations else {})
        values = {name: finite(found.get(name)) for name in self.protocol.metrics}
        return Row(one.identity(), method, baseline, values, curves)

    @property
    def _input_shape(self) -> tuple[int, int]:
        h, w, _ = self.run.classifier.input_shape
        return h, w

    def _input_map(self, raw: np.ndarray) -> np.ndarray:
        return maps.normalise(maps.enlarge(raw, self._input_shape, self.run.request.zoom_order))

    def _signed_map(self, signed: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return a map from which nothing was cut off, brought to 0..1 by its least and its largest value."""
        enlarged = maps.enlarge(signed - signed.min(), shape, self.run.request.zoom_order)
        low, high = enlarged.min(), enlarged.max()
        return (enlarged - low) / (high - low) if high > low else np.zeros_like(enlarged)

    def _faithfulness(self, one: Explanation, L: np.ndarray) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Return the values of the metrics that ask the network again, and their curves."""
        values: dict[str, float] = {}
        curves: dict[str, list[float]] = {}
        asked = set(self.protocol.metrics) & set(FAITHFULNESS)
        if not asked:
            return values, curves
        x = fit.see(one.photo, one.view, self._input_shape, self.run.classifier.input_shape[2]).astype(np.float32)
        p = partial(self._probability, one.prediction.index)
        if asked & {"drop", "increase"}:
            y, o = one.prediction.probability, float(p(faithfulness.masked(x, L)[None])[0])
            values["drop"], values["increase"] = faithfulness.average_drop(y, o), faithfulness.increase(y, o)
        base = faithfulness.BASES[self.protocol.base]
        for name, curve in (("deletion", faithfulness.deletion), ("insertion", faithfulness.insertion)):
            if name in asked:
                found = curve(p, x, L, base(x), self.protocol.steps)
                values[name] = found.area
                if np.isfinite(found.p).all():
                    curves[name] = [round(value, 6) for value in found.p.tolist()]
        if "road" in asked:
            values["road"] = faithfulness.road(p, x, L, np.random.default_rng(self.protocol.seed))
        return values, curves

    def _probability(self, class_: int, pictures: np.ndarray) -> np.ndarray:
        with self._network:
            p: np.ndarray = self._probe.scores(self.run.classifier.prepare(pictures))[:, class_]
        return p

    def _localisation(self, item: Item, one: Explanation, map_: np.ndarray) -> dict[str, float]:
        """Return the values of the metrics that compare with annotations."""
        shape = one.photo.shape[:2]
        inside = np.logical_or.reduce([region(annotation, shape) for annotation in item.annotations])
        iou = localization.best_iou(maps.box(map_), [annotation.box for annotation in item.annotations])
        predicted = [prediction.index for prediction in one.top]
        found = {
            "energy": localization.energy(map_, inside),
            "iou": iou,
            "error1": localization.localisation_error(iou, one.prediction.index, predicted[:1]),
            "error5": localization.localisation_error(iou, one.prediction.index, predicted[:5]),
        }
        if one.method != "whole":  # it has no peak
            found["pointing"] = localization.pointing(map_, inside, self.protocol.tolerance)
        return found
