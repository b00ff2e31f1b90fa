"""The metrics of one map of an image, by their names in the registry."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import numpy as np

from gradcam_cli.evaluation.evaluated_image import EvaluatedImage
from gradcam_cli.evaluation.metrics import (
    axiomatic,
    complexity,
    faithfulness,
    localization,
    randomization,
    robustness,
    subsets,
)
from gradcam_cli.evaluation.passes import MapKey
from gradcam_cli.methods import maps
from gradcam_cli.pipeline.results import Explanation


class EvaluatedMap(NamedTuple):
    """A map of an image.

    Attributes:
        image: the image.
        key: the key of the map in `PreparedRun.maps`.
        L: (h, w) in 0..1, or with any other number of axes: the map at the size of the model input.
        relu: False for a map without its final ReLU, which no method computes.
    """

    image: EvaluatedImage
    key: MapKey
    L: np.ndarray
    relu: bool = True

    @property
    def explanation(self) -> Explanation:
        """The map with its settings."""
        return self.image.explanations[self.key]

    @property
    def noisy_maps(self) -> np.ndarray:
        """The map for noisy inputs, (n, h, w)."""
        return self.image.noisy_maps(self.key)


def _average_drop(m: EvaluatedMap) -> float:
    return faithfulness.average_drop(*_masked_probability(m))


def _masked_probability(m: EvaluatedMap) -> tuple[float, float]:
    """Return the probabilities of the input and of the input multiplied by the map."""
    if m.relu:
        o = m.image.masked_probabilities[m.key]
    else:
        o = float(m.image.probabilities(faithfulness.mask_by_map(m.image.x, m.L)[None])[0])
    return m.explanation.prediction.probability, o


def _adcc(m: EvaluatedMap) -> float | None:
    return faithfulness.adcc(m.L, _coherency(m), _average_drop(m))


def _coherency(m: EvaluatedMap) -> float | None:
    return faithfulness.coherency(m.L, m.image.masked_maps[m.key])


def _completeness(m: EvaluatedMap) -> float | None:
    if m.explanation.method != "integrated-gradients":
        return None
    image = m.image
    return axiomatic.completeness(m.explanation.cam_pre_relu, float(image.y[image.class_index]), image.y_black)


def _input_invariance(m: EvaluatedMap) -> float | None:
    shifted = m.image.shifted_maps.get(m.key)
    return None if shifted is None else axiomatic.input_invariance(m.L, shifted)


def _random_logit(m: EvaluatedMap) -> float | None:
    other = m.image.other_maps.get(m.key)
    return None if other is None else randomization.random_logit(m.L, other)


def _in_units_of_range(image: EvaluatedImage) -> tuple[np.ndarray, np.ndarray]:
    """Return the input and the noisy inputs, divided by the range of values."""
    return image.x / image.value_range, image.noisy.pixels / image.value_range


OF_ANY_MAP: dict[str, Callable[[EvaluatedMap], float | None]] = {
    "entropy": lambda m: complexity.entropy(m.L),
    "gini": lambda m: complexity.gini(m.L),
    "effective-complexity": lambda m: complexity.effective_complexity(m.L),
    "sensitivity-n": lambda m: subsets.sensitivity_n(m.image.subsets.sums(m.L), m.image.drops, m.image.subsets.shares),
    "infidelity": lambda m: subsets.infidelity(m.image.subsets.sums(m.L), m.image.drops),
}
"""Functions of the metrics that need the values of a map alone, by name."""

OF_METHOD: dict[str, Callable[[EvaluatedMap], float | None]] = {
    "coherency": _coherency,
    "adcc": _adcc,
    "avg-sensitivity": lambda m: robustness.avg_sensitivity(m.L, m.noisy_maps),
    "max-sensitivity": lambda m: robustness.max_sensitivity(m.L, m.noisy_maps),
    "local-lipschitz": lambda m: robustness.local_lipschitz(m.L, m.noisy_maps, *_in_units_of_range(m.image)),
    "relative-input-stability": lambda m: robustness.relative_input_stability(
        m.L, m.noisy_maps, *_in_units_of_range(m.image)
    ),
    "relative-output-stability": lambda m: robustness.relative_output_stability(
        m.L, m.noisy_maps, m.image.y, m.image.noisy.y
    ),
    "completeness": _completeness,
    "input-invariance": _input_invariance,
    "random-logit": _random_logit,
    "smooth-mprt": lambda m: randomization.smooth_mprt(*m.image.smooth_cams[m.key]),
}
"""Functions of the metrics that compute the map of other inputs, classes or weights, by name."""


def metrics_of_map(m: EvaluatedMap, metrics: Collection[str]) -> dict[str, float | None]:
    """Return the metrics in `OF_ANY_MAP` and, of a map with its ReLU, those in `OF_METHOD`; others are left out."""
    functions = {**OF_ANY_MAP, **(OF_METHOD if m.relu else {})}
    return {name: functions[name](m) for name in metrics if name in functions}


def faithfulness_of_map(
    m: EvaluatedMap, metrics: Collection[str], *, steps: int
) -> tuple[dict[str, float | None], dict[str, list[float]]]:
    """Return the metrics that change the input along the map, and their curves.

    Args:
        m: the map.
        metrics: names of metrics.
        steps: steps of deletion and insertion.
    """
    values: dict[str, float | None] = {}
    curves: dict[str, list[float]] = {}
    image = m.image
    if not {"average-drop", "increase-in-confidence"}.isdisjoint(metrics):
        y, o = _masked_probability(m)
        values["average-drop"] = faithfulness.average_drop(y, o)
        values["increase-in-confidence"] = faithfulness.increase_in_confidence(y, o)
    for name, function in (("deletion", faithfulness.deletion), ("insertion", faithfulness.insertion)):
        if name in metrics:
            curve = function(image.probabilities, image.x, m.L, image.baseline, steps)
            values[name] = curve.auc
            if np.isfinite(curve.probabilities).all():
                curves[name] = [round(value, 6) for value in curve.probabilities.tolist()]
    if "road" in metrics:
        rng = np.random.default_rng(image.seed)
        values["road"] = faithfulness.road(image.probabilities, image.x, m.L, rng, image.value_range)
    return values, curves


def localization_of_map(
    explanation: Explanation, heatmap: np.ndarray, mask: np.ndarray, boxes: list[localization.Box]
) -> dict[str, float | None]:
    """Return the metrics that compare a map at the size of the image with annotations, without `pointing-game`.

    Args:
        explanation: the map with its class.
        heatmap: (H, W).
        mask: (H, W) bool, True inside the annotated objects.
        boxes: of the annotated objects.
    """
    iou = localization.max_iou(maps.bounding_box(heatmap), boxes)
    class_index = explanation.prediction.index
    predicted = [prediction.index for prediction in explanation.predictions]
    return {
        "energy-pointing-game": localization.energy_pointing_game(heatmap, mask),
        "relevance-mass-accuracy": localization.relevance_mass_accuracy(heatmap, mask),
        "relevance-rank-accuracy": localization.relevance_rank_accuracy(heatmap, mask),
        "iou": iou,
        "loc-error-top1": localization.localization_error(iou, class_index, predicted[:1]),
        "loc-error-top5": localization.localization_error(iou, class_index, predicted[:5]),
    }
