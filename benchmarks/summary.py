"""From single runs to the rows of the table."""

from __future__ import annotations

from statistics import median
from typing import Any, NamedTuple

from contenders import GRADCAM, KINDS, PRECISIONS


class Row(NamedTuple):
    """What a tool took in one precision for one kind of output: milliseconds an image, over the repeats."""

    tool: str
    version: str
    precision: str
    kind: str
    ms: float
    least: float
    most: float
    ratio: float | None
    memory_mb: float


def summarise(runs: list[dict[str, Any]]) -> list[Row]:
    """Return the rows, by kind and precision, the quickest first."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault((run["tool"], run["precision"], run["kind"]), []).append(run)
    ours = {key: median(map(ms_an_image, group)) for key, group in groups.items() if key[0] == GRADCAM.name}
    rows = [_row(group, ours) for group in groups.values()]
    return sorted(rows, key=lambda row: (KINDS.index(row.kind), PRECISIONS.index(row.precision), row.ms))


def ms_an_image(run: dict[str, Any]) -> float:
    """Return milliseconds an image of one run."""
    return 1000 * run["seconds"] / run["images"]


def _row(group: list[dict[str, Any]], ours: dict[tuple[str, ...], float]) -> Row:
    first, times = group[0], [ms_an_image(run) for run in group]
    kind = "overlay" if first["kind"] == "forward" else first["kind"]
    reference = ours.get((GRADCAM.name, first["precision"], kind))
    return Row(
        tool=first["tool"],
        version=first["version"],
        precision=first["precision"],
        kind=first["kind"],
        ms=median(times),
        least=min(times),
        most=max(times),
        ratio=median(times) / reference if reference else None,
        memory_mb=max(run["peak_rss_mb"] for run in group),
    )
