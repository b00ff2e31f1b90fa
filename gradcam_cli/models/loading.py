"""Building of catalog models with their weights, and loading of model and weight files."""

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
    """Build a catalog model as Keras does for `weights="imagenet"`, from a local weight file.

    Keras builds some models differently for `imagenet` than for a file (EfficientNet adds a scaling
    layer), so its download function is patched to return the file.

    Args:
        spec: the model.
        file: its weights, or None for random initialization.

    Raises:
        WeightsError: the file does not fit; the message names the first layer that differs.
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
        mismatch = _first_mismatch(build(weights=None), file)
        raise WeightsError(
            f"{file} does not fit {spec.name}: {mismatch or _first_line(error)}",
            f"expected Keras's file {spec.weights_file}",
        ) from error


@contextlib.contextmanager
def _patched_get_file(file: Path) -> Iterator[None]:
    original = file_utils.get_file
    file_utils.get_file = lambda *args, **kwargs: str(file)
    try:
        yield
    finally:
        file_utils.get_file = original


@contextlib.contextmanager
def skip_weight_init(max_bytes: int | None = None) -> Iterator[None]:
    """Skip the initialization of the weights of Keras layers, which are loaded from a file afterwards.

    Generating VGG19's 143 million random numbers takes longer than loading the weights. Custom layers
    keep their initializers, since they may have weights that the file does not store.

    Args:
        max_bytes: limit of the size of all weights, or None for no limit.

    Raises:
        ModelError: from the block, if the weights exceed the limit.
    """
    original = keras.Layer.add_weight
    num_bytes = 0

    def add_weight(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        nonlocal num_bytes
        if type(layer).__module__.startswith("keras."):
            kwargs["initializer"] = _uninitialized
        if max_bytes is not None:
            num_bytes += 4 * _num_elements(kwargs.get("shape", args[0] if args else ()))
            if num_bytes > max_bytes:
                raise ModelError(f"expected at most {max_bytes:,} bytes of weights, got {num_bytes:,}")
        return original(layer, *args, **kwargs)

    keras.Layer.add_weight = add_weight
    try:
        yield
    finally:
        keras.Layer.add_weight = original


def _num_elements(shape: object) -> int:
    sides = shape if isinstance(shape, (tuple, list)) else (shape,)
    return math.prod(side for side in sides if isinstance(side, int))


def _uninitialized(shape: tuple[int, ...], dtype: str | None = None) -> tf.Tensor:
    return tf.raw_ops.Empty(shape=shape, dtype=dtype or "float32", init=False)


def load_weights_into(model: keras.Model, file: Path) -> None:
    """Load a weight file into a model.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit.
    """
    if not file.is_file():
        raise WeightsError(f"--weights {file}: file not found")
    try:
        check_model_file(file)
    except ModelError as error:
        raise WeightsError(error.message) from error
    try:
        model.load_weights(file)
    except Exception as error:
        mismatch = _first_mismatch(model, file)
        raise WeightsError(f"{file} does not fit the model: {mismatch or _first_line(error)}") from error


def _first_mismatch(model: keras.Model, file: Path) -> str | None:
    """Describe the first layer whose weight shapes differ from those in a Keras 2 weight file, or return None."""
    try:
        with h5py.File(file) as content:
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


def load_model_file(file: Path, allow_unsafe: bool) -> keras.Model:
    """Load a model from a `.keras` or `.h5` file.

    Args:
        file: the model file.
        allow_unsafe: allow the Python code in Lambda layers.

    Raises:
        ModelError: the file is missing, damaged, a SavedModel, contains only weights, or is unsafe.
    """
    if (file / "saved_model.pb").is_file():
        raise ModelError(
            f"{file} is a SavedModel, which stores no Keras layers",
            "load it with its code and save it with model.save('model.keras')",
        )
    if not file.is_file():
        raise ModelError(f"model file {file} not found")
    if file.suffix == ".keras" and not zipfile.is_zipfile(file):
        raise ModelError(f"{file} is damaged or not a .keras file: not a zip archive")
    check_model_file(file)
    from gradcam_cli.neuralode.layers import ode_block, odenet, spiral_net  # noqa: F401  # registers the classes

    try:
        with skip_weight_init(max_decompressed_size(file)):
            model = keras.saving.load_model(file, compile=False, safe_mode=not allow_unsafe)
    except Exception as error:
        text = str(error)
        if not allow_unsafe and re.search(r"(?i)lambda", text) and re.search(r"(?i)unsafe|safe_mode", text):
            raise ModelError(
                f"{file} contains Python code in a Lambda layer, which was not run",
                "if you trust its source, add --allow-unsafe-model",
            ) from error
        if "No model config" in text:
            raise ModelError(
                f"{file} contains only weights", "give the model by --model and this file by --weights"
            ) from error
        raise ModelError(
            f"cannot open {file}: {_first_line(error)}",
            "load a model with custom classes in Python and pass it to gradcam_cli.explain",
        ) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{file}: expected a Keras model, got {type(model).__name__}")
    return model


def model_to_bytes(model: keras.Model) -> bytes:
    """Return the bytes of the `.keras` file of a model; Keras can only write to a path."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()


def _first_line(error: Exception) -> str:
    innermost = str(error).rpartition("Exception encountered: ")[2]  # Keras prepends a message per nesting level
    lines = [line.strip() for line in innermost.splitlines() if line.strip()]
    return shorten(lines[0], 200, placeholder=" ...") if lines else type(error).__name__
