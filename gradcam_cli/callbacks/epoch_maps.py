"""The maps of one epoch, and their drift since another epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from gradcam_cli.evaluation.drift import DRIFTS, compare_maps
from gradcam_cli.evaluation.metrics.summary import mean_value
from gradcam_cli.images.load import Unexplained
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.saved import SavedMap

SINCE = ("last", "first")
"""The epochs with which an epoch is compared: the last one before it, and the first one."""
Drift = dict[str, list[float | None]]
"""The value of each drift measure of `gradcam compare` for each image; None without two maps."""


class ImageMap(NamedTuple):
    """The map of an image.

    Attributes:
        saved: the map, or None.
        error: why there is no map, or None.
        zero_reason: why the map is zero everywhere, or None.
        limit: the value of 1 in the heatmap, in the units of the map.
        predicted: JSON object of the predicted class, or None.
    """

    saved: SavedMap | None
    error: str | None = None
    zero_reason: str | None = None
    limit: float = 0.0
    predicted: dict[str, Any] | None = None

    @classmethod
    def of(cls, result: Explanation | Unexplained) -> ImageMap:
        """Return the map of a result."""
        if isinstance(result, Unexplained):
            return cls(None, error=result.error or result.hint)
        saved = SavedMap(result.metadata(), result.heatmap, result.cam)
        return cls(saved, None, result.zero_reason, result.heatmap_max, result.predictions[0].to_json())


@dataclass(frozen=True)
class EpochMaps:
    """The maps of an epoch.

    Attributes:
        epoch: from 0, as Keras counts.
        images: the map of each image.
        logs: the values that Keras logged, by epoch: of this one and of those since the last one with maps.
        drift: by `SINCE`; without those of the first epoch.
    """

    epoch: int
    images: list[ImageMap]
    logs: dict[int, dict[str, float | None]] = field(default_factory=dict)
    drift: dict[str, Drift] = field(default_factory=dict)

    @property
    def errors(self) -> list[str]:
        """Why images have no map."""
        return [each.error for each in self.images if each.error]

    def drift_since(self, before: EpochMaps) -> Drift:
        """Return the drift of each map since another epoch.

        Raises:
            UsageError: the maps of the other epoch are of another layer, method or score.
        """
        drift: Drift = {name: [] for name in DRIFTS}
        for earlier, now in zip(before.images, self.images, strict=True):
            changed = None
            if earlier.saved and now.saved:
                changed = compare_maps(now.saved.metadata["input"], earlier.saved, now.saved).drifts
            for name, values in drift.items():
                values.append(changed[name] if changed else None)
        return drift

    def mean_drift(self, since: str) -> dict[str, float]:
        """Return the mean of each drift measure over the images with a value."""
        means = {name: mean_value(values) for name, values in self.drift.get(since, {}).items()}
        return {name: value for name, value in means.items() if value is not None}


def num_lost(before: EpochMaps, now: EpochMaps) -> int:
    """Return the number of images that had a map and have none."""
    return sum(bool(a.saved) and not b.saved for a, b in zip(before.images, now.images, strict=True))


def explained_maps(results: Sequence[Explanation | Unexplained]) -> list[ImageMap]:
    """Return the map of each result."""
    return [ImageMap.of(result) for result in results]
