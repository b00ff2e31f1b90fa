"""Results of an evaluation: one row per map, the mean over all images, and the steps of a sanity check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradcam_cli.evaluation.metrics.registry import METRICS

UNCHANGED_CORRELATION = 0.5
"""A map counts as unchanged from this mean rank correlation on."""


class MetricRow(NamedTuple):
    """The metrics of one map.

    Attributes:
        metadata: `Explanation.metadata()` of the map.
        method: name of the method.
        baseline: whether the map is class-agnostic.
        values: by metric; None where a metric is undefined for the map.
        curves: probabilities after each step of `deletion` and `insertion`.
        relu: False for a map without the final ReLU.
        report: file names of the map's images and the numbers that a report shows.
        tiles: for the maps of a mosaic, the input (`photo`), class, rank and metrics of each tile, whose means are
            `values`; the rank is None if the class is not among the first predictions.
    """

    metadata: dict[str, Any]
    method: str
    baseline: bool
    values: dict[str, float | None]
    curves: dict[str, list[float]]
    relu: bool = True
    report: dict[str, Any] | None = None
    tiles: list[dict[str, Any]] | None = None

    def __repr__(self) -> str:
        values = ", ".join(f"{name} {'-' if v is None else format(v, '.3f')}" for name, v in self.values.items())
        return f"<MetricRow {self.metadata['input']}, {map_label(self.method, self.relu)}: {values}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the map, without `report`."""
        values = {"relu": self.relu, "baseline": self.baseline, "metrics": self.values, "curves": self.curves}
        return {"status": "ok", **self.metadata, **values, **({"tiles": self.tiles} if self.tiles else {})}


def measured_rows(rows: Sequence[MetricRow], metric: str) -> list[MetricRow]:
    """Return the rows that a metric is computed for: those of mosaics, or those of images."""
    return [row for row in rows if (row.tiles is not None) == METRICS[metric].uses_mosaics]


TILE_LISTS = {
    "map_image": "map_images", "levels": "all_levels", "figure": "figures", "profiles": "all_profiles", "map": "maps",
}  # fmt: skip
"""Keys of the report of a map, and those of lists of them in the report of a mosaic, with one item for each tile."""


class MosaicCounts(NamedTuple):
    """The mosaics of an evaluation.

    Attributes:
        mosaics: their number.
        photos: number of different inputs in them.
        cases: number of tiles; each is a case, the map of its class.
        valid_cases: number of tiles whose class is among the first predictions for the mosaic.
    """

    mosaics: int
    photos: int
    cases: int
    valid_cases: int

    def __str__(self) -> str:
        share = self.valid_cases / self.cases
        return (
            f"{self.mosaics:,} mosaics of {self.photos:,} inputs; valid cases: {share:.0%} "
            f"({self.valid_cases:,} of {self.cases:,})"
        )


def count_mosaics(rows: Sequence[MetricRow]) -> MosaicCounts | None:
    """Return what the mosaics of an evaluation are; None without mosaics."""
    mosaics = {row.metadata["input"]: row.tiles for row in rows if row.tiles}
    tiles = [tile for each in mosaics.values() for tile in each]
    if not tiles:
        return None
    valid = sum(tile["rank"] is not None for tile in tiles)
    return MosaicCounts(len(mosaics), len({tile["photo"] for tile in tiles}), len(tiles), valid)


class SanityStep(NamedTuple):
    """Similarity of the maps of a partly randomized network to those of the trained network, mean over the images.

    Attributes:
        last_randomized_layer: the layer randomized in this step; all layers after it were randomized before.
        all_downstream_randomized: whether all layers downstream of the map's layer are randomized.
        layer: layer of the map.
        method: method of the map.
        rank: rank correlation, -1 to 1.
        ssim: structural similarity, -1 to 1.
    """

    last_randomized_layer: str
    all_downstream_randomized: bool
    layer: str
    method: str
    rank: float
    ssim: float

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON object of the step."""
        return {"status": "sanity", **self._asdict()}


def sanity_ranks(steps: Sequence[SanityStep]) -> tuple[dict[str, list[float]], list[str], str]:
    """Return what a plot of a sanity check shows.

    Returns:
        The rank correlations of each map, by its method and layer, one for each randomized layer; the randomized
        layers, from the output down; and the first one from which on all layers downstream of a map are randomized.
    """
    ranks: dict[str, list[float]] = {}
    for step in steps:
        ranks.setdefault(f"{step.method} at {step.layer}", []).append(step.rank)
    layers = list(dict.fromkeys(step.last_randomized_layer for step in steps))
    downstream = next((step.last_randomized_layer for step in steps if step.all_downstream_randomized), layers[-1])
    return ranks, layers, downstream


def map_label(method: str, relu: bool) -> str:
    """Return the name of a map in tables and plots."""
    return method if relu else f"{method} without ReLU"


def has_several_layers(rows: Sequence[MetricRow]) -> bool:
    """Return whether the maps belong to more than one layer, or the baselines do."""
    layers = {(row.baseline, row.metadata["layer"]) for row in rows}
    return len(layers) > len({baseline for baseline, _ in layers})


class MapKey(NamedTuple):
    """What the maps of a group share.

    Attributes:
        layer: layer of the maps.
        method: name of the method.
        relu: False for maps without the final ReLU.
        baseline: whether the maps are class-agnostic.
    """

    layer: str
    method: str
    relu: bool
    baseline: bool

    def label(self, *, with_layer: bool) -> str:
        """Return the name of the maps in tables and messages."""
        return map_label(self.method, self.relu) + (f" at {self.layer}" if with_layer else "")


def group_rows(rows: Sequence[MetricRow]) -> dict[MapKey, list[MetricRow]]:
    """Return the rows of every layer and method; baselines come last."""
    groups: dict[MapKey, list[MetricRow]] = {}
    for row in sorted(rows, key=lambda row: row.baseline):
        groups.setdefault(MapKey(row.metadata["layer"], row.method, row.relu, row.baseline), []).append(row)
    return groups


def summarize(rows: Sequence[MetricRow], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return the mean of each metric over the images for every layer and method; baselines come last.

    A mean is None if no image has a value.
    """
    return [
        {
            **key._asdict(),
            "maps": len(group),
            **{name: mean_value([row.values[name] for row in group]) for name in metrics},
        }
        for key, group in group_rows(rows).items()
    ]


class Undefined(NamedTuple):
    """How many maps of a method have no value of a metric.

    Attributes:
        metric: name of the metric.
        layer: layer of the maps.
        method: method of the maps.
        undefined: number of maps without a value; the mean leaves them out.
        maps: number of all maps.
    """

    metric: str
    layer: str
    method: str
    undefined: int
    maps: int


def count_undefined(rows: Sequence[MetricRow], metrics: Sequence[str]) -> list[Undefined]:
    """Return the metrics that some maps have no value of; baselines and maps without ReLU are not counted."""
    groups: dict[tuple[str, str], list[MetricRow]] = {}
    for row in rows:
        if row.relu and not row.baseline:
            groups.setdefault((row.metadata["layer"], row.method), []).append(row)
    counts = [
        Undefined(name, layer, method, sum(row.values[name] is None for row in maps), len(maps))
        for name in metrics
        for (layer, method), group in groups.items()
        for maps in [measured_rows(group, name)]
    ]
    return [each for each in counts if each.undefined]


def mean_value(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are not None, or None if there is none."""
    numbers = [value for value in values if value is not None]
    return sum(numbers) / len(numbers) if numbers else None


def insensitive_methods(steps: Sequence[SanityStep]) -> list[tuple[str, str]]:
    """Return (layer, method) of the maps that stay the same although all layers downstream are randomized."""
    first_rank: dict[tuple[str, str], float] = {}
    for step in steps:
        if step.all_downstream_randomized:
            first_rank.setdefault((step.layer, step.method), step.rank)
    return [key for key, rank in first_rank.items() if rank >= UNCHANGED_CORRELATION]
