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
    """A map as `--save npz` keeps it.

    Attributes:
        metadata: what it is of: input, layer, method, score, class and its probability.
        heatmap: (H, W) in 0..1.
        cam: (u, v).
    """

    metadata: dict[str, Any]
    heatmap: np.ndarray
    cam: np.ndarray


def find_saved_maps(directory: Path) -> dict[str, Path]:
    """Return the arrays of a directory of results, by their names within it.

    Raises:
        InputError: it holds none.
    """
    try:
        found = {relative_to(str(path), directory): path for path in sorted(_find_npz_files(directory))}
    except FileNotFoundError:
        found = {}
    except OSError as error:
        raise InputError(f"{directory} cannot be read: {error.strerror or error}") from error
    if not found:
        raise InputError(f"{directory} holds no results: expected .npz files, found none", "write them with --save npz")
    return found


def _find_npz_files(directory: Path) -> Iterator[Path]:
    if not is_url(directory):
        yield from directory.rglob("*.npz")
        return
    for folder, _, names in remote.walk(str(directory)):
        yield from (as_path(f"{folder}/{name}") for name in names if name.endswith(".npz"))


def load_saved_map(path: Path) -> SavedMap:
    """Read one map.

    Raises:
        InputError: the file is damaged, or was not written by gradcam.
    """
    with _open_npz(path) as arrays:
        saved = SavedMap(_parse_metadata(arrays), arrays["heatmap"], arrays["cam"])
        if lacking := REQUIRED_KEYS - saved.metadata.keys():
            raise ValueError(f"its record lacks {', '.join(sorted(lacking))}")
        if not all(one.ndim == 2 and one.size and np.isfinite(one).all() for one in (saved.heatmap, saved.cam)):
            raise ValueError("its maps are not planes of finite numbers")
        return saved


def load_saved_metadata(path: Path) -> dict[str, Any]:
    """Read what a map is of, without the map.

    Raises:
        InputError: the file is damaged, or was not written by gradcam.
    """
    with _open_npz(path) as arrays:
        return _parse_metadata(arrays)


def _parse_metadata(arrays: Any) -> dict[str, Any]:
    record = json.loads(str(arrays["metadata"]))
    if not isinstance(record, dict):
        raise ValueError(f"its record is {type(record).__name__}, no object")
    return record


@contextlib.contextmanager
def _open_npz(path: Path) -> Iterator[Any]:
    try:
        with open_readable(path) as file, np.load(file, allow_pickle=False) as arrays:
            yield arrays
    except GradcamError:
        raise
    except Exception as error:  # what is damaged makes zip, zlib and NumPy raise nearly anything
        reason = str(error) or type(error).__name__
        raise InputError(f"{path} cannot be read: {reason}", "expected what --save npz writes") from error


def load_source_image(saved: SavedMap) -> np.ndarray | None:
    """Return the photo of a map, (H, W, 3) uint8, or None where it is no more, or is another one."""
    try:
        data = read_bytes(as_path(saved.metadata["input"]))
        photo = decode(data)
    except (OSError, ValueError, GradcamError):
        return None
    same = saved.metadata.get("sha256") in (None, hashlib.sha256(data).hexdigest())
    return photo if same and photo.shape[:2] == saved.heatmap.shape else None
