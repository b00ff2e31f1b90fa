"""Two runs over the same photos, map by map: what changed, and by how much."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli import remote
from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.files import open_bytes, read_bytes
from gradcam_cli.images import decode
from gradcam_cli.metrics.comparison import peak_shift, rank_correlation, ssim, top_iou
from gradcam_cli.places import is_url, place, relative
from gradcam_cli.render import heatmap, overlay
from gradcam_cli.views import Box

SAME = ("layer", "method", "score", "counterfactual")
"""What two maps must have in common to be compared."""

COMPARED = {*SAME, "input", "class_index", "class_name"}
"""What the record of a map must tell for that."""


class Saved(NamedTuple):
    """A map as `--save npz` keeps it.

    Attributes:
        record: what it is of: input, layer, method, score, class and its probability.
        map: (H, W) in 0..1.
        raw: (u, v).
    """

    record: dict[str, Any]
    map: np.ndarray
    raw: np.ndarray


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


def find_results(directory: Path) -> dict[str, Path]:
    """Return the arrays of a directory of results, by their names within it.

    Raises:
        InputError: it holds none.
    """
    try:
        found = {relative(str(path), directory): path for path in sorted(_arrays_below(directory))}
    except FileNotFoundError:
        found = {}
    except OSError as error:
        raise InputError(f"{directory} cannot be read: {error.strerror or error}") from error
    if not found:
        raise InputError(f"{directory} holds no results: expected .npz files, found none", "write them with --save npz")
    return found


def _arrays_below(directory: Path) -> Iterator[Path]:
    if not is_url(directory):
        yield from directory.rglob("*.npz")
        return
    for folder, _, names in remote.walk(str(directory)):
        yield from (place(f"{folder}/{name}") for name in names if name.endswith(".npz"))


def read_result(path: Path) -> Saved:
    """Read one map.

    Raises:
        InputError: the file is damaged, or was not written by gradcam.
    """
    with _opened(path) as arrays:
        saved = Saved(_record(arrays), arrays["map"], arrays["raw"])
        if lacking := COMPARED - saved.record.keys():
            raise ValueError(f"its record lacks {', '.join(sorted(lacking))}")
        if not all(one.ndim == 2 and one.size and np.isfinite(one).all() for one in (saved.map, saved.raw)):
            raise ValueError("its maps are not planes of finite numbers")
        return saved


def read_record(path: Path) -> dict[str, Any]:
    """Read what a map is of, without the map.

    Raises:
        InputError: the file is damaged, or was not written by gradcam.
    """
    with _opened(path) as arrays:
        return _record(arrays)


def _record(arrays: Any) -> dict[str, Any]:
    record = json.loads(str(arrays["record"]))
    if not isinstance(record, dict):
        raise ValueError(f"its record is {type(record).__name__}, no object")
    return record


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with open_bytes(path) as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except GradcamError:
        raise
    except Exception as error:  # what is damaged makes zip, zlib and NumPy raise nearly anything
        reason = str(error) or type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}", "expected what --save npz writes") from error


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


def photo_of(saved: Saved) -> np.ndarray | None:
    """Return the photo of a map, (H, W, 3) uint8, or None where it is no more, or is another one."""
    try:
        data = read_bytes(place(saved.record["input"]))
        photo = decode(data)
    except (OSError, ValueError, GradcamError):
        return None
    same = saved.record.get("sha256") in (None, hashlib.sha256(data).hexdigest())
    return photo if same and photo.shape[:2] == saved.map.shape else None
