"""Two runs over the same photos, map by map: what changed, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.metrics.similarity import peak_shift, rank_correlation, ssim, top_iou
from gradcam_cli.images.fit import Box
from gradcam_cli.output.figures import overlay, render_heatmap
from gradcam_cli.pipeline.saved import COMPARABLE_KEYS, SavedMap, find_saved_maps, load_saved_map, load_source_image


class MapChange(NamedTuple):
    """How a map of one photo differs between two runs.

    Attributes:
        name: of the file that both runs wrote.
        input: the photo.
        class_before: the class explained in the first run, as (index, name).
        class_after: the one of the second run.
        rank: rank correlation of the two maps L_c, on the layer's plane.
        ssim: structural similarity of the maps at the photo's size.
        iou: of the fifths with the largest values.
        peak: how far the peak moved, as a share of the diagonal.
    """

    name: str
    input: str
    class_before: tuple[int, str | None]
    class_after: tuple[int, str | None]
    rank: float
    ssim: float
    iou: float
    peak: float


class DriftMeasure(NamedTuple):
    """A measure of change, 0 where nothing changed: what it says, and how a change is measured."""

    title: str
    compute: Callable[[MapChange], float]


DRIFTS = {
    "class": DriftMeasure(
        "whether the class changed", lambda change: float(change.class_before[0] != change.class_after[0])
    ),
    "rank": DriftMeasure("1 less the rank correlation of the maps", lambda change: 1 - change.rank),
    "ssim": DriftMeasure("1 less the structural similarity of the maps", lambda change: 1 - change.ssim),
    "iou": DriftMeasure("1 less the intersection over union of the largest fifths", lambda change: 1 - change.iou),
    "peak": DriftMeasure("shift of the peak, as a share of the diagonal", lambda change: change.peak),
}
"""What `--max-drift` takes."""


def compare_maps(name: str, before: SavedMap, after: SavedMap) -> MapChange:
    """Measure how far a map has moved.

    Raises:
        UsageError: the two maps are of different layers, methods, kinds of score, or photos of different sizes.
    """
    for key in COMPARABLE_KEYS:
        if before.metadata[key] != after.metadata[key]:
            raise UsageError(
                f"{name}: expected the same {key} in both runs, got {before.metadata[key]} and {after.metadata[key]}",
                "maps of different kinds say nothing of each other's drift",
            )
    if before.heatmap.shape != after.heatmap.shape:
        raise UsageError(
            f"{name}: expected the same photo, got maps of {before.heatmap.shape} and {after.heatmap.shape}"
        )
    planes = (before.cam, after.cam) if before.cam.shape == after.cam.shape else (before.heatmap, after.heatmap)
    return MapChange(
        name,
        after.metadata["input"],
        (before.metadata["class_index"], before.metadata["class_name"]),
        (after.metadata["class_index"], after.metadata["class_name"]),
        rank_correlation(*planes),
        ssim(before.heatmap, after.heatmap),
        top_iou(before.heatmap, after.heatmap),
        peak_shift(before.heatmap, after.heatmap),
    )


def compare_runs(before: Path, after: Path) -> Iterator[MapChange | str]:
    """Compare what two directories share, in order; a name that only one of them holds is yielded as it is.

    Raises:
        InputError: a directory holds no results, or the two have none in common.
        UsageError: their maps cannot be compared.
    """
    first, second = find_saved_maps(before), find_saved_maps(after)
    if not first.keys() & second.keys():
        raise InputError(
            f"{before} and {after} have no result in common: expected files of the same names",
            f"such as {next(iter(first))} and {next(iter(second))}",
        )
    for name in sorted(first.keys() | second.keys()):
        if name in first and name in second:
            yield compare_maps(name, load_saved_map(first[name]), load_saved_map(second[name]))
        else:
            yield name


def render_saved_map(saved: SavedMap) -> np.ndarray:
    """Return the map over its photo, (H, W, 3) uint8, or alone where the photo is no more what it was."""
    view, photo = Box(0, 0, saved.heatmap.shape[1], saved.heatmap.shape[0]), load_source_image(saved)
    return render_heatmap(saved.heatmap, view) if photo is None else overlay(photo, saved.heatmap, view)
