"""Loading of a weight file into a model, and the description of weights that do not fit."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten

import h5py
import keras
from keras.src.legacy.saving import legacy_h5_format

from gradcam_cli.errors import ModelError, WeightsError
from gradcam_cli.models.archive_weights import open_hdf5, weights_in_place
from gradcam_cli.models.hdf5_weights import by_name_if_possible
from gradcam_cli.models.opening import network_off, patched
from gradcam_cli.models.safety import hdf5_check, is_archive, is_checked, open_archive, with_keras_suffix
from gradcam_cli.network.keras_settings import default_settings


def load_weights_into(model: keras.Model, file: Path) -> None:
    """Load a weight file into a model.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit.
    """
    if not file.is_file():
        raise WeightsError(f"--weights {file}: file not found")
    if not is_checked(file):
        raise WeightsError(f"--weights {file}: expected a .h5 or .keras file")
    try:
        with hdf5_check(file) as check, with_keras_suffix(file) as path:
            if is_archive(file):
                with open_archive(file):  # checks its members
                    pass
            check.finish()
            _load_weights(model, path)
    except ModelError as error:
        raise WeightsError(error.message) from error
    except _DoesNotFitError as error:
        raise WeightsError(f"{file} does not fit the model: {error}") from error


class _DoesNotFitError(Exception):
    """Weights that do not fit a model."""


def _load_weights(model: keras.Model, path: Path) -> None:
    try:
        with (
            default_settings(),
            network_off(),
            patched(legacy_h5_format, "load_weights_from_hdf5_group", by_name_if_possible),
            weights_in_place(),
        ):
            model.load_weights(path)
    except ModelError:
        raise
    except Exception as error:
        raise _DoesNotFitError(first_mismatch(model, path) or first_line(error)) from error


def first_mismatch(model: keras.Model, file: Path) -> str | None:
    """Describe the first layer whose weight shapes differ from those in a Keras 2 weight file, or return None."""
    try:
        with open_hdf5(file) as content:
            groups = content.get("model_weights", content)
            stored = {name: _shapes(group) for name, group in groups.items()}
    except Exception:  # on damaged files h5py raises many types
        return "the file is damaged or not an HDF5 file"
    stored_names = {name for name, shapes in stored.items() if shapes}
    for layer in model.layers:
        expected = sorted(tuple(weight.shape) for weight in layer.weights)
        if expected and layer.name not in stored_names:
            return f"layer {layer.name} is missing from the file"
        if expected != stored.get(layer.name, []):
            return f"layer {layer.name}: expected weights of {expected}, got {stored[layer.name]}"
    return None


def _shapes(group: h5py.Group) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    group.visititems(lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    return sorted(shapes)


def first_line(error: BaseException) -> str:
    """Return the first line of the innermost message of an error of Keras, at most 200 characters."""
    innermost = str(error).rpartition("Exception encountered: ")[2]  # Keras prepends a message per nesting level
    lines = [line.strip() for line in innermost.splitlines() if line.strip()]
    return shorten(lines[0], 200, placeholder=" ...") if lines else type(error).__name__
