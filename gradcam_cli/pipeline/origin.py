"""The origin of an output file: the image, the model, and the options of the run.

It is saved with pictures and `.npz` files, and `--skip-existing` compares it with that of the run.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradcam_cli.errors import GradcamError
from gradcam_cli.images.encode import MAX_COMMENT_BYTES, read_comment
from gradcam_cli.models.catalog import find_spec, is_model_path
from gradcam_cli.models.labels import labels_file
from gradcam_cli.models.weights import local_weights
from gradcam_cli.network.target import parse_target
from gradcam_cli.output.animations import read_mp4_comment
from gradcam_cli.output.destination import VECTOR_FORMATS, format_for_suffix
from gradcam_cli.output.figure_files import read_vector_comment
from gradcam_cli.output.naming import MapKey
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.config import ExplainConfig, ModelConfig
from gradcam_cli.pipeline.fields import FieldError
from gradcam_cli.pipeline.truth import TRUTH
from gradcam_cli.storage.arrays import open_arrays
from gradcam_cli.storage.checksum import sha256
from gradcam_cli.storage.files import read_head

Origin = dict[str, Any]
"""Values that JSON can represent, by name; two files with equal origins show equal maps."""

ORIGIN_KEY = "origin"
HEAD_BYTES = 2 * MAX_COMMENT_BYTES
"""Bytes that are read of a picture: its headers and its comment."""
MAX_VECTOR_BYTES = 1 << 25
"""Bytes that are read of a PDF, SVG or MP4 file; the comment of a PDF or MP4 file is at its end."""
MAX_METADATA_LENGTH = 1 << 20
"""Limit of the metadata of an `.npz` file, in characters."""


def origin_of_run(model: ModelConfig, config: ExplainConfig, render: RenderOptions | None) -> Origin:
    """Return the part of the origin that all files of a run share.

    Args:
        model: the model to load.
        config: the maps to compute.
        render: how pictures are drawn; None for arrays.
    """
    spec = None if is_model_path(model.model) else find_spec(model.model)
    architecture = model.model if is_model_path(model.model) and model.weights != "imagenet" else None
    return {
        "model": spec.name if spec else Path(model.model).stem,
        "architecture": _hash_or_name(architecture),
        "labels": _hash_or_name(labels_file(model.labels, model.model)),
        "target_files": [_hash_or_name(file) for file in parse_target(config.target).files],
        "preprocess": model.preprocess,
        "input_size": list(model.input_size) if model.input_size else None,
        "task": model.task,
        "other_inputs": _hash_or_name(model.other_inputs),
        **config.map_settings(),
        **(render.values() if render else {}),
    }


def _hash_or_name(file: str | os.PathLike[str] | None) -> str | None:
    """Return the SHA-256 of a file; the name of one that is not on this machine."""
    if file is None:
        return None
    return sha256(os.fspath(file)) if Path(file).is_file() else os.fspath(file)


def origin_of_file(shared: Origin, keys: Sequence[MapKey], image_hash: str | None, weights_hash: str | None) -> Origin:
    """Return the origin of one file.

    Args:
        shared: from `origin_of_run`.
        keys: layer, method and class of each of its maps, as requested.
        image_hash: SHA-256 of the image's file.
        weights_hash: SHA-256 of the weights' file; None if it is not known, and then not compared.
    """
    maps = [list(key) for key in dict.fromkeys(keys)]
    weights = {} if weights_hash is None else {"weights_sha256": weights_hash}
    return {"sha256": image_hash, **weights, "maps": maps, **shared}


def local_weights_hash(model: ModelConfig) -> str | None:
    """Return the SHA-256 of the weights that a run will load, or None if they are random or not on this machine."""
    path = local_weights(model.model, model.weights)
    return sha256(path) if path and path.is_file() else None


def picture_comment(metadata: Sequence[Mapping[str, Any]], origin: Origin | None) -> str:
    """Return the comment of a picture: JSON in ASCII with its maps, without the paths of their images, and its origin.

    Args:
        metadata: of each map, from `Explanation.metadata`.
        origin: from `origin_of_file`, or None.
    """
    maps = [{key: value for key, value in each.items() if key != "input"} for each in metadata]
    return json.dumps({"maps": maps, ORIGIN_KEY: origin})


def read_record(path: Path) -> Origin | None:
    """Return what a file carries of its maps and its origin, or None. Only headers and metadata are read, no pixels."""
    try:
        text = _read_comment(path)
        record = json.loads(text) if text else None
    except (GradcamError, OSError, ValueError, KeyError, RecursionError, zipfile.BadZipFile):
        return None
    return record if isinstance(record, dict) else None


def read_origin(path: Path) -> Origin | None:
    """Return the origin that a file carries, or None."""
    return origin_in(read_record(path))


def origin_in(record: Origin | None) -> Origin | None:
    """Return the origin in a record from `read_record`, or None."""
    origin = record.get(ORIGIN_KEY) if record else None
    return origin if isinstance(origin, dict) else None


def truth_in(record: Origin | None) -> Origin | None:
    """Return the true class and the prediction in a record from `read_record`, or None."""
    maps = record.get("maps") if record else None
    first = maps[0] if isinstance(maps, list) and maps else record
    try:
        truth: Origin = TRUTH(first.get("truth") if isinstance(first, dict) else None)
    except FieldError:
        return None
    return truth


def _read_comment(path: Path) -> str | None:
    if path.suffix == ".npz":
        return _npz_metadata(path)
    image_format = format_for_suffix(path)
    if image_format == "mp4":
        return read_mp4_comment(read_head(path, MAX_VECTOR_BYTES))
    if image_format in VECTOR_FORMATS:
        return read_vector_comment(read_head(path, MAX_VECTOR_BYTES))
    return read_comment(read_head(path, HEAD_BYTES))


def _npz_metadata(path: Path) -> str:
    with open_arrays(path) as arrays:
        return str(np.asarray(arrays.read("metadata", "U", 0, MAX_METADATA_LENGTH)))


def differences(saved: Origin | None, expected: Origin) -> list[str]:
    """Return the names of the values in which a saved origin differs from the expected one."""
    return [ORIGIN_KEY] if saved is None else [name for name in expected if saved.get(name) != expected[name]]
