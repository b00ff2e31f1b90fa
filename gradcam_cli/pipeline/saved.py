"""Maps saved by an earlier run: finding and reading their `.npz` files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.console import escape_control_chars, log
from gradcam_cli.errors import GradcamError, InputError
from gradcam_cli.images.input_files import decode_input
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.space import IMAGE, RANKS, Space
from gradcam_cli.pipeline import fields
from gradcam_cli.pipeline.config import DEFAULTS, MATCHING_SETTINGS, RunSettings
from gradcam_cli.pipeline.json_lines import METADATA_FIELDS
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.recorded_image import read_recorded_image
from gradcam_cli.storage import remote
from gradcam_cli.storage.arrays import ArrayFile, open_arrays
from gradcam_cli.storage.paths import as_path, is_inside, is_url, relative_to
from gradcam_cli.storage.regular_files import walk_files

COMPARABLE_KEYS = ("layer", "method", *MATCHING_SETTINGS)
"""Keys that must be equal in two maps that are compared."""

NEWER_SETTINGS = ("against", "gamma")
"""Settings that files of earlier versions lack; then they have their defaults."""

REQUIRED_KEYS = {*COMPARABLE_KEYS, "input", "class_index", "class_name"} - {*NEWER_SETTINGS}
"""Keys of the metadata that a comparison reads."""

MAX_METADATA_LENGTH = 1 << 20
"""Limit of the metadata of a map, in characters."""
parse_metadata = fields.record(METADATA_FIELDS, sorted(REQUIRED_KEYS))


class SavedMap(NamedTuple):
    """A map in a file of `--save npz`.

    Attributes:
        metadata: the values of `METADATA_FIELDS`.
        heatmap: (H, W) in 0..1, or of the other spatial shape of the input.
        cam: (u, v), with as many axes.
    """

    metadata: dict[str, Any]
    heatmap: np.ndarray
    cam: np.ndarray

    @property
    def space(self) -> Space:
        """The kind of the input and the distances of its values, as far as the file has them."""
        rank = self.heatmap.ndim
        kinds = [self.metadata.get("kind") or IMAGE.kind, *RANKS]
        spacing = tuple(self.metadata.get("spacing") or ())
        return Space(next(kind for kind in kinds if RANKS[kind] == rank), spacing if len(spacing) == rank else ())


def find_saved_maps(directory: Path) -> dict[str, Path]:
    """Return the `.npz` files of a results directory, by their relative names.

    Links out of the directory are left out, with a note.

    Raises:
        InputError: the directory cannot be read or has no `.npz` files.
    """
    try:
        paths = {relative_to(str(path), directory): path for path in sorted(_find_npz_files(directory))}
    except FileNotFoundError:
        paths = {}
    except OSError as error:
        raise InputError(f"cannot read {directory}: {error.strerror or error}") from error
    if not paths:
        raise InputError(f"no .npz files found in {directory}", "write them with --save npz")
    return paths


def _find_npz_files(directory: Path) -> Iterator[Path]:
    for path in filter(lambda path: path.endswith(".npz"), _walk(directory)):
        if is_inside(path, directory):
            yield as_path(path)
        else:
            log.warning("%s: not read, it is outside the directory", escape_control_chars(path))


def _walk(directory: Path) -> Iterator[str]:
    if not is_url(directory):
        yield from walk_files(directory)
        return
    for folder, _, names in remote.walk(str(directory)):
        yield from (f"{folder}/{name}" for name in names)


@contextlib.contextmanager
def _open_map(path: Path) -> Iterator[ArrayFile]:
    """Open a saved map; errors within the block are raised as InputError with a hint."""
    try:
        with open_arrays(path) as arrays:
            yield arrays
    except InputError as error:
        raise InputError(error.message, "expected a file written by --save npz") from error
    except ValueError as error:
        raise InputError(f"cannot read {path}: {error}", "expected a file written by --save npz") from error


def load_saved_map(path: Path) -> SavedMap:
    """Read one map.

    Raises:
        InputError: the file is damaged or was not written by gradcam.
    """
    with _open_map(path) as arrays:
        heatmap, cam = _read_map(arrays, "heatmap"), _read_map(arrays, "cam")
        if heatmap.min() < 0 or heatmap.max() > 1:
            raise ValueError(f"expected a heatmap in 0..1, got {heatmap.min():g} to {heatmap.max():g}")
        if heatmap.ndim != cam.ndim:
            raise ValueError(f"cam: expected {heatmap.ndim} axes, got {cam.ndim}")
        return SavedMap(_read_metadata(arrays), heatmap, cam)


def _read_map(arrays: ArrayFile, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        array = arrays.read(name, "f", tuple(sorted(set(RANKS.values()))), MAX_PIXELS).astype(np.float32)
    if not array.size or not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers")
    return array


def load_saved_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a map, without its arrays.

    Raises:
        InputError: the file is damaged or was not written by gradcam.
    """
    with _open_map(path) as arrays:
        return _read_metadata(arrays)


def _read_metadata(arrays: ArrayFile) -> dict[str, Any]:
    text = str(arrays.read("metadata", "U", 0, MAX_METADATA_LENGTH))
    try:
        record: dict[str, Any] = parse_metadata(json.loads(text))
    except (fields.FieldError, RecursionError) as error:
        raise ValueError(f"its metadata is invalid: {error}") from error
    return {**{name: DEFAULTS[name] for name in NEWER_SETTINGS}, **record}


def load_source_image(saved: SavedMap) -> np.ndarray | None:
    """Return the pixels of a map's input as they are drawn, or None if they are missing, changed or may not be opened.

    Those of an image are (H, W, 3) uint8.
    """
    metadata, rank = saved.metadata, saved.space.rank
    read: dict[str, Any] = {key: metadata.get(key) for key in ("max_value", "rgb", "axes", "window")}
    try:
        settings = RunSettings(**read)
        data = read_recorded_image(metadata["input"], metadata.get("sha256"))
        decoded = decode_input(data, metadata["input"], read_options_of(settings, rank))
    except GradcamError:
        return None
    return decoded.pixels if decoded.pixels.shape[:rank] == saved.heatmap.shape else None
