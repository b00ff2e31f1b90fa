"""Drift between two maps of the same image."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.correctness import correctness
from gradcam_cli.evaluation.metrics.similarity import peak_shift, rank_correlation, ssim, top_iou
from gradcam_cli.models.class_groups import GROUP
from gradcam_cli.pipeline.prediction import Prediction
from gradcam_cli.pipeline.saved import COMPARABLE_KEYS, SavedMap


class MapChange(NamedTuple):
    """How a map of one image differs between two runs.

    Attributes:
        name: file name of the map in both runs.
        input: name of the image.
        class_before: the class explained in the first run.
        class_after: the class explained in the second run.
        rank: rank correlation of the two maps L_c at the layer's resolution.
        ssim: structural similarity of the maps at the image's size.
        top_iou: intersection over union of the fifths with the largest values.
        peak_shift: distance between the peaks, as a fraction of the diagonal.
        truth_before: JSON object of the image's true class and prediction in the first run, or None.
        truth_after: the same of the second run.
    """

    name: str
    input: str
    class_before: Prediction
    class_after: Prediction
    rank: float
    ssim: float
    top_iou: float
    peak_shift: float
    truth_before: Mapping[str, Any] | None = None
    truth_after: Mapping[str, Any] | None = None

    def __repr__(self) -> str:
        drifts = ", ".join(f"{name} {value:.3f}" for name, value in self.drifts.items())
        return f"<MapChange {self.name}, {self.class_before} -> {self.class_after}: {drifts}>"

    @property
    def correctness(self) -> str:
        """Whether the prediction was right in both runs, one of `CORRECTNESS`."""
        return correctness(self.truth_before, self.truth_after)

    @property
    def class_changed(self) -> bool:
        """Whether the two runs explain different classes."""
        before, after = self.class_before, self.class_after
        return before.index != after.index or (before.index == GROUP and before.name != after.name)

    @property
    def drifts(self) -> dict[str, float]:
        """The value of each drift measure."""
        return {name: drift.compute(self) for name, drift in DRIFTS.items()}

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the change; classes are objects of index and name."""
        classes = {
            key: {"index": None if c.index == GROUP else c.index, "name": c.name} for key, c in self._classes().items()
        }
        return {**self._asdict(), **classes, "correctness": self.correctness, "status": "ok"}

    def _classes(self) -> dict[str, Prediction]:
        return {"class_before": self.class_before, "class_after": self.class_after}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> MapChange:
        """Return the change of a JSON object."""
        classes = {key: _class_of(**record[key]) for key in ("class_before", "class_after")}
        values: dict[str, Any] = {name: record.get(name) for name in cls._fields}
        return cls(**{**values, **classes})


def _class_of(index: int | None, name: str | None, probability: float | None = None) -> Prediction:
    return Prediction(
        GROUP if index is None else index, name, None, None, math.nan if probability is None else probability
    )


class DriftMeasure(NamedTuple):
    """A measure of change that is 0 for equal maps: its title, and the function that computes it."""

    title: str
    compute: Callable[[MapChange], float]


DRIFTS = {
    "class-change": DriftMeasure("class changed (0: no, 1: yes)", lambda change: float(change.class_changed)),
    "rank": DriftMeasure("1 - rank correlation of the maps", lambda change: 1 - change.rank),
    "ssim": DriftMeasure("1 - structural similarity of the maps", lambda change: 1 - change.ssim),
    "top-iou": DriftMeasure(
        "1 - intersection over union of the top 20 % of the pixels", lambda change: 1 - change.top_iou
    ),
    "peak-shift": DriftMeasure("peak distance, as a fraction of the diagonal", lambda change: change.peak_shift),
}
"""The drift measures of `gradcam compare`, by name."""


class UnmatchedMap(NamedTuple):
    """A map that only one run has: its file name."""

    name: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the map."""
        return {**self._asdict(), "status": "unmatched"}


class DamagedMap(NamedTuple):
    """A map that cannot be compared because a file is damaged: its file name in both runs, and the error."""

    name: str
    error: str
    hint: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the map."""
        return {**self._asdict(), "status": "failed"}


def compare_maps(name: str, before: SavedMap, after: SavedMap) -> MapChange:
    """Measure how much a map changed.

    Raises:
        UsageError: the two maps differ in layer, method, score or image size.
    """
    for key in COMPARABLE_KEYS:
        if before.metadata[key] != after.metadata[key]:
            raise UsageError(
                f"{name}: expected the same {key} in both runs, got {before.metadata[key]} and {after.metadata[key]}",
                "run gradcam twice with the same options",
            )
    if before.heatmap.shape != after.heatmap.shape:
        raise UsageError(
            f"{name}: expected maps of the same image, got sizes {before.heatmap.shape} and {after.heatmap.shape}"
        )
    same_resolution = before.cam.shape == after.cam.shape
    return MapChange(
        name,
        after.metadata["input"],
        explained_class(before),
        explained_class(after),
        rank_correlation(before.cam, after.cam) if same_resolution else rank_correlation(before.heatmap, after.heatmap),
        ssim(before.heatmap, after.heatmap),
        top_iou(before.heatmap, after.heatmap),
        peak_shift(before.heatmap, after.heatmap),
        before.metadata.get("truth"),
        after.metadata.get("truth"),
    )


def explained_class(saved: SavedMap) -> Prediction:
    """Return the class that a saved map explains."""
    return _class_of(saved.metadata["class_index"], saved.metadata["class_name"], saved.metadata.get("probability"))
