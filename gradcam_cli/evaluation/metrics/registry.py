"""The metrics of `gradcam evaluate`, by name."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.metrics.randomization import SMOOTH_SAMPLES
from gradcam_cli.evaluation.metrics.robustness import SAMPLES
from gradcam_cli.evaluation.metrics.subsets import SHARES, SUBSETS

NO_COST = "none"
ALL, FAMILY = "all", "family:"
"""Values of `--metric` for all metrics, and for those of a family: `family:complexity`."""


class Metric(NamedTuple):
    """A metric of one map; its value for a method is the mean over all images.

    Attributes:
        title: what it measures, in words.
        higher_is_better: whether a larger value is better.
        family: the property that it measures.
        cost: the passes through the network for each image, besides those of the maps.
        needs_annotations: whether it compares the map with annotations.
        default: whether it is computed if no metric is named.
        condition: which maps have a value, if not all; printed for those that have none.
        uses_mosaics: whether it is measured on mosaics of the images; `all` leaves it out.
    """

    title: str
    higher_is_better: bool
    family: str = "faithfulness"
    cost: str = NO_COST
    needs_annotations: bool = False
    default: bool = False
    condition: str = "maps of zeros have no value"
    uses_mosaics: bool = False

    @property
    def direction(self) -> str:
        """`higher` or `lower`: the better values."""
        return "higher" if self.higher_is_better else "lower"


_ONE_MASKED, _ONE_CURVE = "1 forward pass per map", "1 forward pass per map and step"
_SUBSETS = f"{len(SHARES) * SUBSETS} forward passes, for all maps together"
_MASKED_MAP = "each map once more"
_NOISY, _SMOOTH = f"all maps {SAMPLES} times", f"all maps {2 * SMOOTH_SAMPLES} times, and the weights replaced"
_NOISE_CONDITION = "maps of zeros have no value, nor maps of images whose first class changes with any noise"

METRICS = {
    "average-drop": Metric(
        "relative probability drop after masking by the map", False, "faithfulness", _ONE_MASKED, default=True
    ),
    "increase-in-confidence": Metric(
        "fraction of images more probable after masking", True, "faithfulness", _ONE_MASKED, default=True
    ),
    "deletion": Metric(
        "area under the probability as pixels are deleted", False, "faithfulness", _ONE_CURVE, default=True
    ),
    "insertion": Metric(
        "area under the probability as pixels are inserted", True, "faithfulness", _ONE_CURVE, default=True
    ),
    "road": Metric(
        "ROAD: least minus most relevant pixels removed", True, "faithfulness", "8 forward passes per map", default=True
    ),
    "coherency": Metric(
        "correlation with the map of the masked input",
        True,
        "faithfulness",
        _MASKED_MAP,
        condition="constant maps have no value",
    ),
    "adcc": Metric(
        "mean of coherency, simplicity and kept probability",
        True,
        "faithfulness",
        f"{_ONE_MASKED}, {_MASKED_MAP}",
        condition="constant maps have no value",
    ),
    "infidelity": Metric("squared error of lost scores predicted by the map", False, cost=_SUBSETS),
    "sensitivity-n": Metric(
        "correlation of the map in cells with lost scores",
        True,
        cost=_SUBSETS,
        condition="constant maps have no value",
    ),
    "avg-sensitivity": Metric(
        "mean relative change of the map under noise", False, "robustness", _NOISY, condition=_NOISE_CONDITION
    ),
    "max-sensitivity": Metric(
        "largest relative change of the map under noise", False, "robustness", _NOISY, condition=_NOISE_CONDITION
    ),
    "local-lipschitz": Metric(
        "largest change of the map per change of the input", False, "robustness", _NOISY, condition=_NOISE_CONDITION
    ),
    "relative-input-stability": Metric(
        "largest relative change of map per that of input",
        False,
        "robustness",
        _NOISY,
        condition=_NOISE_CONDITION,
    ),
    "relative-output-stability": Metric(
        "largest relative change of map per that of scores",
        False,
        "robustness",
        _NOISY,
        condition=_NOISE_CONDITION,
    ),
    "random-logit": Metric(
        "similarity to the map of a random other class",
        False,
        "randomization",
        "all maps once more",
        condition="maps of zeros have no value, nor maps of a model with a single score",
    ),
    "smooth-mprt": Metric("rank correlation with maps of random weights", False, "randomization", _SMOOTH),
    "completeness": Metric(
        "error of the map's sum as the score difference",
        False,
        "axiomatic",
        "2 forward passes, for all maps together",
        condition="only integrated-gradients sums to a score difference",
    ),
    "input-invariance": Metric(
        "change of the map under an undone input shift",
        False,
        "axiomatic",
        "each map once more",
        condition="only methods that run the model on pixels depend on the shift",
    ),
    "entropy": Metric("entropy of the map's values, in nats", False, "complexity"),
    "gini": Metric("Gini index of the map's values, 1 for one pixel", True, "complexity"),
    "effective-complexity": Metric("fraction of pixels above 0.00001 of the maximum", False, "complexity"),
    "pointing-game": Metric(
        "fraction of peaks inside the object", True, "localization", needs_annotations=True, default=True
    ),
    "energy-pointing-game": Metric(
        "fraction of the map's sum inside the object", True, "localization", needs_annotations=True, default=True
    ),
    "iou": Metric(
        "intersection over union of map's and annotated box", True, "localization", needs_annotations=True, default=True
    ),
    "relevance-rank-accuracy": Metric(
        "fraction of the K largest in the object's K pixels", True, "localization", needs_annotations=True
    ),
    "relevance-mass-accuracy": Metric(
        "fraction of the map's sum inside; zeros left out", True, "localization", needs_annotations=True
    ),
    "loc-error-top1": Metric(
        "localization error, first prediction", False, "localization", needs_annotations=True, default=True
    ),
    "loc-error-top5": Metric(
        "localization error, first five predictions", False, "localization", needs_annotations=True, default=True
    ),
    "grid": Metric("fraction of the map's sum in the tile of its class", True, "mosaics", uses_mosaics=True),
    "grid-peak": Metric("fraction of peaks in the tile of their class", True, "mosaics", uses_mosaics=True),
    "grid-valid": Metric(
        "grid for classes among the first predictions",
        True,
        "mosaics",
        uses_mosaics=True,
        condition="mosaics of which no class is predicted have no value",
    ),
    "impossible": Metric(
        "fraction of the sum in cells without effect",
        False,
        "mosaics",
        "1 pass downstream of the layer per class",
        uses_mosaics=True,
        condition="only methods of the shared pass have a value",
    ),
}
GRID, GRID_PEAK, GRID_VALID, IMPOSSIBLE = "grid", "grid-peak", "grid-valid", "impossible"
MOSAIC = tuple(name for name, metric in METRICS.items() if metric.uses_mosaics)
SANITY_PLOT, MOSAIC_PLOT = "sanity", "mosaics"
"""Names of the plot of the sanity check and of the picture of some mosaics, next to those of the metrics."""


def families() -> tuple[str, ...]:
    """Return the names of the families, in the order of the table."""
    return tuple(dict.fromkeys(metric.family for metric in METRICS.values()))


def metric_choices() -> tuple[str, ...]:
    """Return the values of `--metric`: the names, `all`, and the families."""
    return (*METRICS, ALL, *(FAMILY + family for family in families()))


def select_metrics(names: Iterable[str], *, annotated: bool) -> list[str]:
    """Return the metrics of names, families and `all`, in the order of the table; without names, the default metrics.

    Args:
        names: values of `metric_choices`.
        annotated: whether annotations are given; `all` and the families leave out the metrics that need them, and `all`
            those on mosaics, which need inputs of several classes.

    Raises:
        UsageError: a metric, or every metric of a family, needs annotations.
    """
    requested = list(names)
    chosen = {name for name in requested if name in METRICS}
    for name in chosen:
        if METRICS[name].needs_annotations and not annotated:
            raise UsageError(f"{name} requires --annotations")
    possible = [name for name, metric in METRICS.items() if annotated or not metric.needs_annotations]
    for group in [name for name in requested if name not in METRICS]:
        members = [name for name in possible if group in _groups(METRICS[name])]
        if not members:
            raise UsageError(f"{group} requires --annotations")
        chosen.update(members)
    return [name for name in possible if name in chosen or (not requested and METRICS[name].default)]


def requested_metrics(
    names: Iterable[str], limited: Iterable[str] = (), *, annotated: bool, target_class: object = None
) -> list[str]:
    """Return the metrics to compute: those of `select_metrics`, those that have limits, and their companions.

    Args:
        names: values of `metric_choices`.
        limited: names of the metrics that have limits.
        annotated: whether annotations are given.
        target_class: the class of all maps, or None.

    Raises:
        UsageError: a metric needs annotations, or all metrics are on mosaics and a class is given.
    """
    requested = select_metrics(names, annotated=annotated)
    requested = select_metrics([*requested, *limited], annotated=annotated)
    if target_class is not None and set(requested) <= set(MOSAIC):
        raise UsageError("--class: metrics on mosaics explain the classes of the tiles")
    return with_companions(requested)


def _groups(metric: Metric) -> tuple[str, ...]:
    """Return the values of `--metric` that include a metric, besides its name."""
    return (FAMILY + metric.family, *(() if metric.uses_mosaics else (ALL,)))


def with_companions(metrics: Collection[str]) -> list[str]:
    """Return metrics in the order of the table; `grid` comes with those that are computed from the same maps."""
    return [name for name in METRICS if name in metrics or (name in (GRID_PEAK, GRID_VALID) and GRID in metrics)]
