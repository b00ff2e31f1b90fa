"""Keras networks from disk: applications with the weights that were found, and model files."""

from __future__ import annotations

import contextlib
import math
import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

import h5py
import keras
import tensorflow as tf
from keras.src.utils import file_utils

from gradcam_cli.errors import ModelError, WeightsError
from gradcam_cli.models.catalog import ModelSpec
from gradcam_cli.models.mini import build_mini
from gradcam_cli.models.safety import check_model_file, max_decompressed_size


def build_model(spec: ModelSpec, file: Path | None) -> keras.Model:
    """Build an application as Keras does for ImageNet, but with the weight file that was found.

    Keras builds some networks otherwise for `weights="imagenet"` than for a file (EfficientNet
    scales by ImageNet's deviation), so it is let to believe that the file came from its download.

    Args:
        spec: which network.
        file: its weights, or None to leave it untrained.

    Raises:
        WeightsError: the file does not fit; the first layer that differs is named.
    """
    if spec.built_in:
        return build_mini(file)
    build = getattr(keras.applications, spec.keras_function)
    if file is None:
        return build(weights=None)
    try:
        with _patched_get_file(file), skip_weight_init():
            return build(weights="imagenet")
    except Exception as error:
        difference = _first_mismatch(build(weights=None), file)
        raise WeightsError(
            f"{file} does not fit {spec.name}: {difference or _first_line(error)}",
            f"expected the file that Keras calls {spec.weights_file}",
        ) from error


@contextlib.contextmanager
def _patched_get_file(file: Path) -> Iterator[None]:
    own = file_utils.get_file
    file_utils.get_file = lambda *args, **kwargs: str(file)
    try:
        yield
    finally:
        file_utils.get_file = own


@contextlib.contextmanager
def skip_weight_init(max_bytes: int | None = None) -> Iterator[None]:
    """Leave the weights of Keras's own layers unset, for weights that are read right after.

    Drawing VGG19's 143 million random numbers takes longer than reading the ones that replace them.
    Layers of other makers keep their initialisers, since they may keep weights out of the file.

    Args:
        max_bytes: bytes that all weights together may take, or None for any number.
    """
    own = keras.Layer.add_weight
    taken = 0

    def add_weight(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        nonlocal taken
        if type(layer).__module__.startswith("keras."):
            kwargs["initializer"] = _uninitialized
        if max_bytes is not None:
            taken += 4 * _num_elements(kwargs.get("shape", args[0] if args else ()))
            if taken > max_bytes:
                raise ModelError(f"its layers ask for {taken:,} bytes of weights: expected at most {max_bytes:,}")
        return own(layer, *args, **kwargs)

    keras.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.Layer.add_weight = own


def _num_elements(shape: object) -> int:
    sides = shape if isinstance(shape, (tuple, list)) else (shape,)
    return math.prod(side for side in sides if isinstance(side, int))


def _uninitialized(shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
    return tf.raw_ops.Empty(shape=shape, dtype=dtype or "float32", init=False)


def load_weights_into(model: keras.Model, file: Path) -> None:
    """Read a weight file into a model.

    Raises:
        WeightsError: there is no such file, or it does not fit.
    """
    if not file.is_file():
        raise WeightsError(f"--weights {file}: expected a weight file, found none there")
    try:
        check_model_file(file)
    except ModelError as error:
        raise WeightsError(error.message) from error
    try:
        model.load_weights(file)
    except Exception as error:
        difference = _first_mismatch(model, file)
        raise WeightsError(f"{file} does not fit the model: {difference or _first_line(error)}") from error


def _first_mismatch(model: keras.Model, file: Path) -> str | None:
    """Name the first layer whose weights in a Keras 2 weight file have other shapes than the model's."""
    try:
        with h5py.File(file) as content:
            groups = content.get("model_weights", content)
            stored = {name: _shapes(group) for name, group in groups.items()}
    except Exception:  # what is damaged makes h5py raise nearly anything
        return "it is not an HDF5 file, or is damaged"
    filled = {name for name, shapes in stored.items() if shapes}
    for layer in model.layers:
        expected = sorted(tuple(weight.shape) for weight in layer.weights)
        if expected and layer.name not in filled:
            return f"layer {layer.name} is missing from the file"
        if expected != stored.get(layer.name, []):
            return f"layer {layer.name}: expected weights of {expected}, got {stored[layer.name]}"
    return None


def _shapes(group: h5py.Group) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    group.visititems(lambda _, item: found.append(item.shape) if isinstance(item, h5py.Dataset) else None)
    return sorted(found)


def load_model_file(file: Path, allow_unsafe: bool) -> keras.Model:
    """Open a `.keras` or `.h5` file; code that it carries is run only if that is allowed.

    Raises:
        ModelError: it is missing, damaged, a SavedModel, weights only, or not to be trusted.
    """
    if (file / "saved_model.pb").is_file():
        raise ModelError(
            f"{file} is a SavedModel: it keeps the computation, but no layers to look at",
            "open it where its code is and export it with model.save('model.keras')",
        )
    if not file.is_file():
        raise ModelError(f"model {file}: expected a .keras or .h5 file, found none there")
    if file.suffix == ".keras" and not zipfile.is_zipfile(file):
        raise ModelError(f"{file} is not a .keras file, or is damaged: expected a zip archive")
    check_model_file(file)
    from gradcam_cli.neuralode.layers import ode_block, odenet, spiral_net  # noqa: F401  # Keras opens the classes that are registered

    try:
        with skip_weight_init(max_decompressed_size(file)):
            model = keras.saving.load_model(file, compile=False, safe_mode=not allow_unsafe)
    except Exception as error:
        text = str(error)
        if not allow_unsafe and re.search(r"(?i)lambda", text) and re.search(r"(?i)unsafe|safe_mode", text):
            raise ModelError(
                f"{file} carries code of its own in a Lambda layer, which was not run",
                "if you trust where it comes from, add --allow-unsafe-model",
            ) from error
        if "No model config" in text:
            raise ModelError(
                f"{file} holds weights only, no model", "name the model with --model and give this file to --weights"
            ) from error
        raise ModelError(
            f"{file} cannot be opened: {_first_line(error)}",
            "a model with classes of its own must be loaded in Python and given to gradcam_cli.explain",
        ) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{file}: expected a Keras model, got {type(model).__name__}")
    return model


def model_to_bytes(model: keras.Model) -> bytes:
    """Return the bytes of a `.keras` file, without the state of an optimizer; Keras writes by name only."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()


def _first_line(error: Exception) -> str:
    innermost = str(error).rpartition("Exception encountered: ")[2]  # Keras tells a tale for every level above it
    lines = [line.strip() for line in innermost.splitlines() if line.strip()]
    return shorten(lines[0], 200, placeholder=" ...") if lines else type(error).__name__
