"""Maps saved by an earlier run: finding and reading their `.npz` files."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import GradcamError, InputError
from gradcam_cli.images.decode import decode
from gradcam_cli.pipeline.config import MATCHING_SETTINGS
from gradcam_cli.storage import remote
from gradcam_cli.storage.files import open_readable, read_bytes
from gradcam_cli.storage.paths import as_path, is_url, relative_to

COMPARABLE_KEYS = ("layer", "method", *MATCHING_SETTINGS)
"""Keys that must be equal in two maps that are compared."""

REQUIRED_KEYS = {*COMPARABLE_KEYS, "input", "class_index", "class_name"}
"""Keys of the metadata that a comparison reads."""


class SavedMap(NamedTuple):
    """A map in a file of `--save npz`.

    Attributes:
        metadata: input, layer, method, class, probability and settings.
        heatmap: (H, W) in 0..1.
        cam: (u, v).
    """

    metadata: dict[str, Any]
    heatmap: np.ndarray
    cam: np.ndarray


def find_saved_maps(directory: Path) -> dict[str, Path]:
    """Return the `.npz` files of a results directory, by their relative names.

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
    if not is_url(directory):
        yield from directory.rglob("*.npz")
        return
    for folder, _, names in remote.walk(str(directory)):
        yield from (as_path(f"{folder}/{name}") for name in names if name.endswith(".npz"))


def load_saved_map(path: Path) -> SavedMap:
    """Read one map.

    Raises:
        InputError: the file is damaged or was not written by gradcam.
    """
    with _open_npz(path) as arrays:
        saved = SavedMap(_parse_metadata(arrays), arrays["heatmap"], arrays["cam"])
        if missing := REQUIRED_KEYS - saved.metadata.keys():
            raise ValueError(f"its metadata has no {', '.join(sorted(missing))}")
        if not all(array.ndim == 2 and array.size and np.isfinite(array).all() for array in (saved.heatmap, saved.cam)):
            raise ValueError("its maps are not two-dimensional arrays of finite numbers")
        return saved


def load_saved_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a map, without its arrays.

    Raises:
        InputError: the file is damaged or was not written by gradcam.
    """
    with _open_npz(path) as arrays:
        return _parse_metadata(arrays)


def _parse_metadata(arrays: Any) -> dict[str, Any]:
    record = json.loads(str(arrays["metadata"]))
    if not isinstance(record, dict):
        raise ValueError(f"its metadata is {type(record).__name__}, not an object")
    return record


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[Any]:
    try:
        with open_readable(path) as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except GradcamError:
        raise
    except Exception as error:  # damaged files make zip, zlib and NumPy raise almost any exception
        reason = str(error) or type(error).__name__
        raise InputError(f"cannot read {path}: {reason}", "expected a file written by --save npz") from error


def load_source_image(saved: SavedMap) -> np.ndarray | None:
    """Return the image of a map, (H, W, 3) uint8, or None if the file is missing or has changed."""
    try:
        data = read_bytes(as_path(saved.metadata["input"]))
        image = decode(data)
    except (OSError, ValueError, GradcamError):
        return None
    unchanged = saved.metadata.get("sha256") in (None, hashlib.sha256(data).hexdigest())
    return image if unchanged and image.shape[:2] == saved.heatmap.shape else None
