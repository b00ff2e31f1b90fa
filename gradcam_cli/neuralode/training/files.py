"""The files that a training writes, checked before it starts: none of them replaces another output."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gradcam_cli.errors import OutputError, UsageError
from gradcam_cli.neuralode.training.checkpoint import is_checkpoint
from gradcam_cli.neuralode.training.config import DATASET_NAMES
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import canonical

if TYPE_CHECKING:
    import keras

CHECKPOINT = "the checkpoint"


def checkpoint_path(model: Path) -> Path:
    """Return the path of the checkpoint of a training: next to its model file."""
    return model.with_suffix(".checkpoint.npz")


def check_training_files(model: Path, csv_log: Path | None, samples: Path | None, data: str) -> None:
    """Check the paths of a training.

    Args:
        model: the model file; its checkpoint is next to it.
        csv_log: the log, or None.
        samples: the directory of sample images, or None.
        data: name of the data set, or path of its file or directory.

    Raises:
        UsageError: two outputs are the same file, the samples would be among the data, or a file with the checkpoint's
            name is no checkpoint.
        OutputError: an output cannot be written.
    """
    checkpoint = checkpoint_path(model)
    check_outputs({"-o": model, CHECKPOINT: checkpoint, "--csv-log": csv_log})
    if samples and data not in DATASET_NAMES and _contains(Path(data), samples):
        raise UsageError(f"--export-samples {samples} would write into the directory of --data {data}")
    if os.path.lexists(checkpoint) and not is_checkpoint(checkpoint):
        raise UsageError(
            f"{CHECKPOINT} {checkpoint} would replace a file that is no checkpoint, or a damaged one",
            "move or delete the file, or use a different name for -o",
        )


def check_outputs(outputs: Mapping[str, Path | None]) -> None:
    """Require that output files can be written, and are not the same file.

    Args:
        outputs: paths by option; None: not requested.

    Raises:
        UsageError: an output is the same file as another output.
        OutputError: the folder of an output cannot be created or written to.
    """
    paths = {option: path for option, path in outputs.items() if path}
    for option, path in paths.items():
        for other, other_path in paths.items():
            if other != option and _same_file(path, other_path):
                raise UsageError(f"{option} {path} is also the file of {other}", "use a different name")
        _check_writable(path)


def write_model(model: keras.Model, target: Path) -> None:
    """Write a model as a `.keras` file.

    Raises:
        OutputError: the file, or the temporary file that Keras writes first, cannot be written.
    """
    from gradcam_cli.models.loading import model_to_bytes

    try:
        content = model_to_bytes(model)
    except OSError as error:
        raise OutputError(f"{target} cannot be written: {error.strerror or error}") from error
    write_output(target, content)


def _same_file(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # one of them does not exist
        return canonical(path) == canonical(other)


def _contains(directory: Path, path: Path) -> bool:
    return directory.is_dir() and Path(canonical(path)).is_relative_to(canonical(directory))


def _check_writable(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        reason = "it is a directory" if path.is_dir() else "no permission to write into its directory"
        raise OutputError(f"{path} cannot be written: {reason}")
