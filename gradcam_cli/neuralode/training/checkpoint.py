"""Checkpoints of a training: weights, optimizer state, metrics and configuration in an `.npz` file."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.storage.arrays import open_arrays
from gradcam_cli.storage.files import write_output

MAX_TEXT_BYTES = 1 << 24
"""Limit of the size of the configuration and the metrics."""
ARRAY_OVERHEAD = 1_024
"""Bytes of an array's header in a checkpoint, at most."""
DELETE_HINT = "delete the checkpoint to train from scratch"
MAX_DIFFERENCES = 10
"""Maximum number of settings that a message names."""


class Checkpoint(NamedTuple):
    """The content of a checkpoint.

    Attributes:
        arrays: an array for each variable.
        history: the metrics of each epoch.
        epochs: number of epochs that were requested when it was written.
    """

    arrays: list[np.ndarray]
    history: list[list[float]]
    epochs: int


def save_checkpoint(path: Path, variables: Sequence[Any], config_json: str, history: Sequence[Sequence[float]]) -> None:
    """Write a checkpoint; the previous one is replaced when the new one is complete.

    Raises:
        OutputError: the file cannot be written. The previous checkpoint is unchanged.
    """
    arrays: dict[str, Any] = {f"v{i}": np.asarray(variable) for i, variable in enumerate(variables)}
    content = io.BytesIO()
    np.savez(content, config_json=config_json, history=json.dumps(history), **arrays)
    write_output(path, content.getvalue())


def is_checkpoint(path: Path) -> bool:
    """Return whether a file has the structure of a checkpoint."""
    try:
        with open_arrays(path, path.stat().st_size) as file:
            return {"config_json", "history"} <= file.keys()
    except (InputError, OSError):
        return False


def load_checkpoint(path: Path, variables: Sequence[Any], config_json: str, num_metrics: int) -> Checkpoint:
    """Read a checkpoint. Its number of epochs may differ from that of the training.

    Args:
        path: the file.
        variables: the variables of the training, whose shapes and types the arrays must have.
        config_json: the configuration of the training, a JSON object with `epochs`.
        num_metrics: number of metrics of an epoch; the first is the number of the epoch.

    Raises:
        UsageError: the checkpoint is damaged, has other arrays, or its configuration differs.
    """
    expected = [np.asarray(variable) for variable in variables]
    max_bytes = sum(array.nbytes + ARRAY_OVERHEAD for array in expected) + MAX_TEXT_BYTES
    try:
        with open_arrays(path, max_bytes) as file:
            missing = {"config_json", "history", *(f"v{i}" for i in range(len(expected)))} - file.keys()
            saved_json = str(file["config_json"]) if "config_json" in file else None
            epochs = 0 if saved_json is None else _check_configuration(path, saved_json, config_json)
            if missing:
                raise _damaged(path, f"{', '.join(sorted(missing)[:MAX_DIFFERENCES])} not found")
            history = _parse_history(path, str(file["history"]), num_metrics)
            arrays = [_matching(path, file[f"v{i}"], array) for i, array in enumerate(expected)]
            return Checkpoint(arrays, history, epochs)
    except InputError as error:
        message = error.message.replace("cannot read", "cannot read checkpoint", 1)
        raise UsageError(message, DELETE_HINT) from error


def _damaged(path: Path, reason: str) -> UsageError:
    return UsageError(f"checkpoint {path} is damaged: {reason}", DELETE_HINT)


def _matching(path: Path, array: np.ndarray, expected: np.ndarray) -> np.ndarray:
    if (array.shape, array.dtype) != (expected.shape, expected.dtype):
        raise _damaged(
            path, f"expected an array {expected.shape} of {expected.dtype}, got {array.shape} of {array.dtype}"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise _damaged(path, "a weight is not finite")
    return array


def _parse_history(path: Path, text: str, num_metrics: int) -> list[list[float]]:
    try:
        history = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its metrics are not JSON: {error}") from error
    epochs = history if isinstance(history, list) else [None]
    for number, epoch in enumerate(epochs, 1):
        if (
            not isinstance(epoch, list)
            or len(epoch) != num_metrics
            or not all(type(value) in (int, float) for value in epoch)
            or epoch[0] != number
        ):
            raise _damaged(path, f"expected {num_metrics} numbers for epoch {number}")
    return [[number, *map(float, epoch[1:])] for number, epoch in enumerate(epochs, 1)]


def _check_configuration(path: Path, saved: str, current: str) -> int:
    """Require equal configurations, apart from the number of epochs; return that of the checkpoint."""
    try:
        old, new = json.loads(saved), json.loads(current)
    except (ValueError, RecursionError):
        old = None
    if not isinstance(old, dict):
        raise _damaged(path, "its configuration is not a JSON object")
    changed = sorted(str(key) for key in {*old, *new} if old.get(key) != new.get(key) and key != "epochs")
    if changed:
        differences = [f"{_short(key)} {_short(old.get(key))} (now {_short(new.get(key))})" for key in changed]
        raise UsageError(
            f"checkpoint {path} has a different configuration: {', '.join(differences[:MAX_DIFFERENCES])}",
            "use the options and the data of the first run, or delete the checkpoint",
        )
    if type(old.get("epochs")) is not int:
        raise _damaged(path, "its number of epochs is not an integer")
    return int(old["epochs"])


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else text[:37] + "..."
