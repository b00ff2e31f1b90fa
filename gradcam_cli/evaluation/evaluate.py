"""Compute the metrics of maps: of every image, for every method and for the class-agnostic baselines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError
from gradcam_cli.evaluation.annotations.masks import Annotation, annotation_mask
from gradcam_cli.evaluation.evaluated_image import EvaluatedImage
from gradcam_cli.evaluation.map_metrics import EvaluatedMap, faithfulness_of_map, localization_of_map, metrics_of_map
from gradcam_cli.evaluation.metrics import faithfulness, localization
from gradcam_cli.evaluation.metrics.registry import METRICS
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.passes import MapKey, Passes
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.images.memory import ACTIVE
from gradcam_cli.methods import maps
from gradcam_cli.methods.registry import METHODS
from gradcam_cli.pipeline import stages
from gradcam_cli.pipeline.json_lines import map_summary, predictions
from gradcam_cli.pipeline.model_input import ModelInput, to_whole_input
from gradcam_cli.pipeline.parallel import ordered_map
from gradcam_cli.pipeline.prediction import json_number
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import PreparedRun

UNIFORM = "uniform"
"""The baseline that has no peak and ranks no pixels."""

Draw = Callable[[Sequence[Explanation]], list[dict[str, Any]]]
"""Draws the maps of an image for a report, and returns the file names of each."""


class EvaluationItem(NamedTuple):
    """An image and its annotations.

    Attributes:
        image: the decoded image, or the reason why there is none.
        classes: candidates, of which the most probable class is explained; None for the class of the run.
        annotations: the objects of the class.
    """

    image: LoadedImage | Unexplained
    classes: tuple[int, ...] | None = None
    annotations: tuple[Annotation, ...] = ()


Fitted = tuple[EvaluationItem, ModelInput | Unexplained, stages.ForwardResult | Unexplained]
"""An image, fitted to the model input, and after its pass."""


@dataclass(frozen=True)
class MetricConfig:
    """Which metrics are computed, and with which parameters.

    Attributes:
        metrics: names in `metrics.registry.METRICS`.
        steps: number of steps of deletion and insertion.
        deletion_baseline: replacement of deleted pixels, a name in `faithfulness.DELETION_BASELINES`.
        tolerance: tolerance of the pointing game, in pixels of the image.
        seed: seed of all noise and random subsets, classes and weights.
        also_without_relu: whether maps at a layer are also evaluated without their final ReLU.
    """

    metrics: Sequence[str]
    steps: int = faithfulness.CURVE_STEPS
    deletion_baseline: str = "blur"
    tolerance: int = 0
    seed: int = 0
    also_without_relu: bool = False


@dataclass(frozen=True)
class Evaluator:
    """Computes the metrics of a run's maps; one thread at a time runs the network, several compute metrics.

    Attributes:
        run: the maps to evaluate.
        config: the metrics.
        draw: draws the maps that are no baselines for a report, or None.
    """

    run: PreparedRun
    config: MetricConfig
    draw: Draw | None = None

    def evaluate(self, items: Iterable[EvaluationItem], threads: int) -> Iterator[list[MetricRow] | Unexplained]:
        """Yield the metrics of all maps of each image, or the reason why it has none, in the order of the items."""
        pending: list[tuple[EvaluationItem, ModelInput | Unexplained]] = []

        def model_inputs() -> Iterator[ModelInput | Unexplained]:
            for item in items:
                pending.append((item, self._to_model_input(item)))
                yield pending[-1][1]

        def forward_results() -> Iterator[Fitted]:
            results = stages.run_batches(self.run, model_inputs())
            while True:
                with self._network_lock:
                    result = next(results, None)
                if result is None:
                    return
                yield (*pending.pop(0), result)

        with ThreadPoolExecutor(threads) as pool:
            yield from ordered_map(pool, self._evaluate_image, forward_results(), threads + 1)

    @cached_property
    def _network_lock(self) -> threading.RLock:
        """Reentrant, since the classes of an image may be scored while its batch is assembled."""
        return threading.RLock()

    @cached_property
    def _passes(self) -> Passes:
        return Passes(self.run, self._network_lock, self.config.seed)

    def _to_model_input(self, item: EvaluationItem) -> ModelInput | Unexplained:
        model_input = to_whole_input(self.run, item.image)
        if isinstance(model_input, Unexplained) or item.classes is None:
            return model_input
        chosen = item.classes[0]
        if len(item.classes) > 1:
            p = self._passes.probabilities(model_input.pixels[None])[0]
            chosen = max(item.classes, key=lambda index: float(p[index]))
        return model_input._replace(classes=(chosen,))

    def _evaluate_image(self, fitted: Fitted) -> list[MetricRow] | Unexplained:
        with ACTIVE.task():
            return self._evaluate_maps(*fitted)

    def _evaluate_maps(
        self,
        item: EvaluationItem,
        model_input: ModelInput | Unexplained,
        forward_result: stages.ForwardResult | Unexplained,
    ) -> list[MetricRow] | Unexplained:
        explanations = stages.make_explanations(self.run, forward_result)
        if isinstance(model_input, Unexplained) or isinstance(explanations, Unexplained):
            return explanations  # type: ignore[return-value]  # a failure is passed on
        baseline = faithfulness.DELETION_BASELINES[self.config.deletion_baseline]
        maps_by_key = dict(zip(self.run.maps, explanations, strict=True))
        image = EvaluatedImage(self._passes, model_input.pixels, maps_by_key, baseline, self.config.seed)
        try:
            reports = self._draw_for_report(explanations)
            return [
                row
                for key, e in image.explanations.items()
                for row in self._rows(item, image, key, reports.get(e.request_key))
            ]
        except InputError as error:  # a mask of another size than the image
            return Failure(explanations[0].source, error.message, error.hint)

    def _draw_for_report(self, explanations: Sequence[Explanation]) -> dict[tuple[str, str, str], dict[str, Any]]:
        """Draw the maps that are no baselines; return the report's data of each, by its `request_key`."""
        drawn = [e for e in explanations if METHODS[e.method].kind != "baseline"] if self.draw else []
        files = self.draw(drawn) if self.draw and drawn else []
        return {
            e.request_key: {**paths, "map": map_summary(e), "predictions": predictions(e.predictions)}
            for e, paths in zip(drawn, files, strict=True)
        }

    def _rows(
        self, item: EvaluationItem, image: EvaluatedImage, key: MapKey, report: dict[str, Any] | None
    ) -> Iterator[MetricRow]:
        explanation = image.explanations[key]
        row = self._row(item, EvaluatedMap(image, key, image.input_map(key)), explanation.heatmap)
        yield row._replace(report=report)
        if self.config.also_without_relu and METHODS[explanation.method].kind == "cam":
            pre_relu = explanation.cam_pre_relu
            image_map = self._min_max_map(pre_relu, explanation.map_box, explanation.heatmap.shape)
            input_map = self._min_max_map(pre_relu, explanation.input_box, image.shape)
            yield self._row(item, EvaluatedMap(image, key, input_map, relu=False), image_map)

    def _row(self, item: EvaluationItem, evaluated: EvaluatedMap, image_map: np.ndarray) -> MetricRow:
        """Return the metrics of a map; `image_map` is the same map at the size of the image."""
        explanation = evaluated.explanation
        metrics = [name for name in self.config.metrics if self._applies(name, explanation.method)]
        computed, curves = faithfulness_of_map(evaluated, metrics, steps=self.config.steps)
        computed.update(metrics_of_map(evaluated, metrics))
        computed.update(self._localization(item, explanation, image_map) if item.annotations else {})
        values = {name: json_number(computed.get(name)) for name in self.config.metrics}
        baseline = METHODS[explanation.method].kind == "baseline"
        return MetricRow(explanation.metadata(), explanation.method, baseline, values, curves, evaluated.relu)

    def _applies(self, metric: str, method: str) -> bool:
        """Return whether a metric is defined for a method; a uniform map ranks no pixels."""
        return not (method == UNIFORM and METRICS[metric].family == "faithfulness")

    def _min_max_map(self, pre_relu: np.ndarray, box: Box, shape: Sequence[int]) -> np.ndarray:
        """Return a map without ReLU, scaled to 0..1 by its minimum and maximum, and pasted into a box."""
        upsampled = maps.upsample(pre_relu - pre_relu.min(), box.shape, self.run.config.interpolation)
        low, high = upsampled.min(), upsampled.max()
        scaled = (upsampled - low) / (high - low) if high > low else np.zeros_like(upsampled)
        return maps.paste_into_image(scaled, box, shape)

    def _localization(
        self, item: EvaluationItem, explanation: Explanation, heatmap: np.ndarray
    ) -> dict[str, float | None]:
        """Return the metrics that compare a map with annotations; a uniform map has no peak."""
        mask = np.logical_or.reduce([annotation_mask(annotation, heatmap.shape) for annotation in item.annotations])
        values = localization_of_map(explanation, heatmap, mask, [annotation.box for annotation in item.annotations])
        if explanation.method != UNIFORM:
            values["pointing-game"] = localization.pointing_game(heatmap, mask, self.config.tolerance)
        return values
