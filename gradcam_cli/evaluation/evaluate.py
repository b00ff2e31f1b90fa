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
from gradcam_cli.evaluation.annotations.masks import Annotation, annotation_mask
from gradcam_cli.evaluation.metrics import faithfulness, localization
from gradcam_cli.evaluation.metrics.registry import FAITHFULNESS
from gradcam_cli.evaluation.metrics.summary import WITHOUT_RELU, MetricRow
from gradcam_cli.images import fit
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.methods import maps
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.parallel import ordered_map
from gradcam_cli.pipeline.prediction import json_number
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun


class EvaluationItem(NamedTuple):
    """A photo and what to evaluate on it.

    Attributes:
        image: decoded, or the reason why it is not.
        classes: the classes that the annotations may mean; the most probable of them is explained. None for the
            class of the run.
        annotations: where the class is.
    """

    image: LoadedImage | Unexplained
    classes: tuple[int, ...] | None = None
    annotations: tuple[Annotation, ...] = ()


@dataclass(frozen=True)
class EvaluationConfig:
    """How maps are measured.

    Attributes:
        metrics: names in `metrics.tables.METRICS`.
        steps: of deletion and insertion.
        deletion_baseline: what takes the place of deleted pixels, a name in `faithfulness.BASES`.
        tolerance: of the pointing game, in pixels of the photo.
        seed: of ROAD's noise.
        also_without_relu: whether each method of the layer is measured without its ReLU, too.
    """

    metrics: Sequence[str]
    steps: int = faithfulness.CURVE_STEPS
    deletion_baseline: str = "blur"
    tolerance: int = 0
    seed: int = 0
    also_without_relu: bool = False


@dataclass(frozen=True)
class Evaluator:
    """A run and a protocol; the network is asked by one thread at a time, pictures are made by several.

    Attributes:
        run: made ready, with the maps that are measured.
        config: how they are measured.
        draw: makes pictures of a photo's maps and returns what a report says of each; None makes none.
    """

    run: PreparedRun
    config: EvaluationConfig
    draw: Callable[[Sequence[Explanation]], list[dict[str, Any]]] | None = None

    def evaluate(self, items: Iterable[EvaluationItem], threads: int) -> Iterator[list[MetricRow] | Unexplained]:
        """Measure all maps of each photo, in order; failures pass through at their place."""
        waiting: list[EvaluationItem] = []

        def seen() -> Iterator[stages.ModelInput | Unexplained]:
            for item in items:
                waiting.append(item)
                yield self._to_model_input(item)

        def scored() -> Iterator[tuple[EvaluationItem, stages.ForwardResult | Unexplained]]:
            stream = stages.run_batches(self.run, seen())
            while True:
                with self._network_lock:
                    one = next(stream, None)
                if one is None:
                    return
                yield waiting.pop(0), one

        with ThreadPoolExecutor(threads) as pool:
            yield from ordered_map(pool, self._measure, scored(), threads + 1)

    @cached_property
    def _network_lock(self) -> threading.Lock:
        return threading.Lock()

    @cached_property
    def _scorer(self) -> ModelScorer:
        path = next(iter(self.run.layers))
        return ModelScorer(self.run.classifier.model, path, "probability", self.run.precision, self.run.batch_size)

    def _to_model_input(self, item: EvaluationItem) -> stages.ModelInput | Unexplained:
        seen = stages.to_model_input(self.run, item.image)
        if isinstance(seen, Unexplained) or item.classes is None:
            return seen
        chosen = item.classes[0]
        if len(item.classes) > 1:
            p = self._scorer.scores(self.run.classifier.preprocess(seen.pixels[None]))[0]
            chosen = max(item.classes, key=lambda class_: float(p[class_]))
        return seen._replace(classes=(chosen,))

    def _measure(
        self, pair: tuple[EvaluationItem, stages.ForwardResult | Unexplained]
    ) -> list[MetricRow] | Unexplained:
        item, scored = pair
        explained = stages.make_explanations(self.run, scored)
        if isinstance(explained, Unexplained):
            return explained
        try:
            drawn = self._render_for_report(explained)
            return [row for one in explained for row in self._explanation_rows(item, one, drawn.get(id(one)))]
        except InputError as error:  # an outline of another size than the photo
            return Failure(explained[0].source, error.message, error.hint)

    def _render_for_report(self, explanations: Sequence[Explanation]) -> dict[int, dict[str, Any]]:
        """Draw the maps that know something, if they are to be drawn; return what there is to say of each."""
        shown = [one for one in explanations if METHODS[one.method].kind != "baseline"] if self.draw else []
        return dict(zip(map(id, shown), self.draw(shown), strict=True)) if self.draw and shown else {}

    def _explanation_rows(
        self, item: EvaluationItem, explanation: Explanation, report: dict[str, Any] | None
    ) -> Iterator[MetricRow]:
        baseline = METHODS[explanation.method].kind == "baseline"
        row = self._metric_row(
            item,
            explanation,
            explanation.method,
            baseline,
            explanation.heatmap,
            self._map_at_input_size(explanation.cam),
        )
        yield row._replace(report=report)
        if self.config.also_without_relu and not baseline and METHODS[explanation.method].kind == "cam":
            shape = explanation.crop_box.y1 - explanation.crop_box.y0, explanation.crop_box.x1 - explanation.crop_box.x0
            on_photo = maps.paste_into_image(
                self._min_max_map(explanation.cam_pre_relu, shape), explanation.crop_box, explanation.image.shape[:2]
            )
            on_input = self._min_max_map(explanation.cam_pre_relu, self._input_shape)
            yield self._metric_row(item, explanation, explanation.method + WITHOUT_RELU, False, on_photo, on_input)

    def _metric_row(
        self,
        item: EvaluationItem,
        explanation: Explanation,
        method: str,
        baseline: bool,
        image_map: np.ndarray,
        input_map: np.ndarray,
    ) -> MetricRow:
        found, curves = self._faithfulness(explanation, input_map) if explanation.method != "uniform" else ({}, {})
        found.update(self._localization(item, explanation, image_map) if item.annotations else {})
        values = {name: json_number(found.get(name)) for name in self.config.metrics}
        return MetricRow(explanation.metadata(), method, baseline, values, curves)

    @property
    def _input_shape(self) -> tuple[int, int]:
        h, w, _ = self.run.classifier.input_shape
        return h, w

    def _map_at_input_size(self, cam_map: np.ndarray) -> np.ndarray:
        return maps.normalize(maps.upsample(cam_map, self._input_shape, self.run.config.interpolation))

    def _min_max_map(self, pre_relu: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Return a map from which nothing was cut off, brought to 0..1 by its least and its largest value."""
        enlarged = maps.upsample(pre_relu - pre_relu.min(), shape, self.run.config.interpolation)
        low, high = enlarged.min(), enlarged.max()
        return (enlarged - low) / (high - low) if high > low else np.zeros_like(enlarged)

    def _faithfulness(self, explanation: Explanation, L: np.ndarray) -> tuple[dict[str, float], dict[str, list[float]]]:
        """Return the values of the metrics that ask the network again, and their curves."""
        values: dict[str, float] = {}
        curves: dict[str, list[float]] = {}
        asked = set(self.config.metrics) & set(FAITHFULNESS)
        if not asked:
            return values, curves
        x = fit.resize_to_input(
            explanation.image, explanation.crop_box, self._input_shape, self.run.classifier.input_shape[2]
        ).astype(np.float32)
        p = partial(self._probability, explanation.prediction.index)
        if asked & {"drop", "increase"}:
            y, o = explanation.prediction.probability, float(p(faithfulness.mask_by_map(x, L)[None])[0])
            values["drop"], values["increase"] = (
                faithfulness.average_drop(y, o),
                faithfulness.increase_in_confidence(y, o),
            )
        base = faithfulness.DELETION_BASELINES[self.config.deletion_baseline]
        for name, curve in (("deletion", faithfulness.deletion), ("insertion", faithfulness.insertion)):
            if name in asked:
                found = curve(p, x, L, base(x), self.config.steps)
                values[name] = found.auc
                if np.isfinite(found.probabilities).all():
                    curves[name] = [round(value, 6) for value in found.probabilities.tolist()]
        if "road" in asked:
            values["road"] = faithfulness.road(p, x, L, np.random.default_rng(self.config.seed))
        return values, curves

    def _probability(self, class_: int, pixels: np.ndarray) -> np.ndarray:
        with self._network_lock:
            p: np.ndarray = self._scorer.scores(self.run.classifier.preprocess(pixels))[:, class_]
        return p

    def _localization(self, item: EvaluationItem, explanation: Explanation, heatmap: np.ndarray) -> dict[str, float]:
        """Return the values of the metrics that compare with annotations."""
        shape = explanation.image.shape[:2]
        inside = np.logical_or.reduce([annotation_mask(annotation, shape) for annotation in item.annotations])
        iou = localization.max_iou(maps.bounding_box(heatmap), [annotation.box for annotation in item.annotations])
        predicted = [prediction.index for prediction in explanation.predictions]
        found = {
            "energy": localization.energy_pointing_game(heatmap, inside),
            "iou": iou,
            "error1": localization.localization_error(iou, explanation.prediction.index, predicted[:1]),
            "error5": localization.localization_error(iou, explanation.prediction.index, predicted[:5]),
        }
        if explanation.method != "uniform":  # it has no peak
            found["pointing"] = localization.pointing_game(heatmap, inside, self.config.tolerance)
        return found
