"""The metrics of `gradcam evaluate`, by name."""

from __future__ import annotations

from typing import NamedTuple


class Metric(NamedTuple):
    """What a metric says.

    Attributes:
        title: in words.
        higher_is_better: whether a large value is a good one.
        needs_annotations: whether it needs annotations.
    """

    title: str
    higher_is_better: bool
    needs_annotations: bool = False


METRICS = {
    "drop": Metric("average drop of the probability when only the map's part is left", False),
    "increase": Metric("share of photos that gain when only the map's part is left", True),
    "deletion": Metric("area under the probability while the map's part is deleted", False),
    "insertion": Metric("area under the probability while the map's part is put in", True),
    "road": Metric("ROAD: the least relevant pixels removed, against the most", True),
    "pointing": Metric("pointing game: share of peaks inside the object", True, needs_annotations=True),
    "energy": Metric("share of the map inside the object", True, needs_annotations=True),
    "iou": Metric("intersection over union of the map's box and the annotated one", True, needs_annotations=True),
    "error1": Metric("localisation error, first prediction", False, needs_annotations=True),
    "error5": Metric("localisation error, first five predictions", False, needs_annotations=True),
}
FAITHFULNESS = tuple(name for name, metric in METRICS.items() if not metric.needs_annotations)
LOCALIZATION = tuple(name for name, metric in METRICS.items() if metric.needs_annotations)
