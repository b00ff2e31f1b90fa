"""The metrics of `gradcam evaluate`, by name."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """A metric of one map; its value for a method is the mean over all images.

    Attributes:
        title: what it measures, in words.
        higher_is_better: whether a larger value is better.
        needs_annotations: whether it compares the map with annotations.
    """

    title: str
    higher_is_better: bool
    needs_annotations: bool = False


METRICS = {
    "average-drop": Metric("relative probability drop after masking by the map", False),
    "increase-in-confidence": Metric("fraction of images more probable after masking", True),
    "deletion": Metric("area under the probability as pixels are deleted", False),
    "insertion": Metric("area under the probability as pixels are inserted", True),
    "road": Metric("ROAD: least minus most relevant pixels removed", True),
    "pointing-game": Metric("fraction of peaks inside the object", True, needs_annotations=True),
    "energy-pointing-game": Metric("fraction of the map's sum inside the object", True, needs_annotations=True),
    "iou": Metric("intersection over union of map's and annotated box", True, needs_annotations=True),
    "loc-error-top1": Metric("localization error, first prediction", False, needs_annotations=True),
    "loc-error-top5": Metric("localization error, first five predictions", False, needs_annotations=True),
}
FAITHFULNESS = tuple(name for name, metric in METRICS.items() if not metric.needs_annotations)
LOCALIZATION = tuple(name for name, metric in METRICS.items() if metric.needs_annotations)
SANITY_PLOT = "sanity"
"""Name of the plot of the sanity check, next to those of the metrics."""
