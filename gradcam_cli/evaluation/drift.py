"""Two runs over the same photos, map by map: what changed, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.metrics.similarity import peak_shift, rank_correlation, ssim, top_iou
from gradcam_cli.images.fit import Box
from gradcam_cli.output.figures import heatmap, overlay
from gradcam_cli.pipeline.saved import SAME, Saved, find_results, photo_of, read_result


class Change(NamedTuple):
    """How a map of one photo differs between two runs.

    Attributes:
        name: of the file that both runs wrote.
        input: the photo.
        before: the class explained in the first run, as (index, name).
        after: the one of the second run.
        rank: rank correlation of the two maps L_c, on the layer's plane.
        ssim: structural similarity of the maps at the photo's size.
        iou: of the fifths with the largest values.
        peak: how far the peak moved, as a share of the diagonal.
    """

    name: str
    input: str
    before: tuple[int, str | None]
    after: tuple[int, str | None]
    rank: float
    ssim: float
    iou: float
    peak: float


class Drift(NamedTuple):
    """A measure of change, 0 where nothing changed: what it says, and how a change is measured."""

    title: str
    of: Callable[[Change], float]


DRIFTS = {
    "class": Drift("whether the class changed", lambda change: float(change.before[0] != change.after[0])),
    "rank": Drift("1 less the rank correlation of the maps", lambda change: 1 - change.rank),
    "ssim": Drift("1 less the structural similarity of the maps", lambda change: 1 - change.ssim),
    "iou": Drift("1 less the intersection over union of the largest fifths", lambda change: 1 - change.iou),
    "peak": Drift("shift of the peak, as a share of the diagonal", lambda change: change.peak),
}
"""What `--max-drift` takes."""


def compare(name: str, before: Saved, after: Saved) -> Change:
    """Measure how far a map has moved.

    Raises:
        UsageError: the two maps are of different layers, methods, kinds of score, or photos of different sizes.
    """
    for key in SAME:
        if before.record[key] != after.record[key]:
            raise UsageError(
                f"{name}: expected the same {key} in both runs, got {before.record[key]} and {after.record[key]}",
                "maps of different kinds say nothing of each other's drift",
            )
    if before.map.shape != after.map.shape:
        raise UsageError(f"{name}: expected the same photo, got maps of {before.map.shape} and {after.map.shape}")
    planes = (before.raw, after.raw) if before.raw.shape == after.raw.shape else (before.map, after.map)
    return Change(
        name,
        after.record["input"],
        (before.record["class_index"], before.record["class_name"]),
        (after.record["class_index"], after.record["class_name"]),
        rank_correlation(*planes),
        ssim(before.map, after.map),
        top_iou(before.map, after.map),
        peak_shift(before.map, after.map),
    )


def compare_all(before: Path, after: Path) -> Iterator[Change | str]:
    """Compare what two directories share, in order; a name that only one of them holds is yielded as it is.

    Raises:
        InputError: a directory holds no results, or the two have none in common.
        UsageError: their maps cannot be compared.
    """
    first, second = find_results(before), find_results(after)
    if not first.keys() & second.keys():
        raise InputError(
            f"{before} and {after} have no result in common: expected files of the same names",
            f"such as {next(iter(first))} and {next(iter(second))}",
        )
    for name in sorted(first.keys() | second.keys()):
        if name in first and name in second:
            yield compare(name, read_result(first[name]), read_result(second[name]))
        else:
            yield name


def picture(saved: Saved) -> np.ndarray:
    """Return the map over its photo, (H, W, 3) uint8, or alone where the photo is no more what it was."""
    view, photo = Box(0, 0, saved.map.shape[1], saved.map.shape[0]), photo_of(saved)
    return heatmap(saved.map, view) if photo is None else overlay(photo, saved.map, view)
