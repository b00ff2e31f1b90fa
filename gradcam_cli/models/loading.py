"""Building of catalog models with their weights."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format
from keras.src.utils import file_utils

from gradcam_cli.errors import ModelError, WeightsError
from gradcam_cli.models.catalog import LITE0, MINI, ModelSpec
from gradcam_cli.models.lite0 import build_lite0
from gradcam_cli.models.mini import build_mini
from gradcam_cli.models.opening import patched
from gradcam_cli.models.safety import Hdf5Check, hdf5_check
from gradcam_cli.models.weight_files import first_line, first_mismatch
from gradcam_cli.models.weight_tensors import read_weights
from gradcam_cli.network.keras_settings import default_settings

BUILDERS: dict[str, Callable[[Path | None], keras.Model]] = {LITE0.name: build_lite0, MINI.name: build_mini}
"""Functions of the built-in models."""


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
    with default_settings():
        if spec.built_in:
            return BUILDERS[spec.name](file)
        build = getattr(keras.applications, spec.keras_function)
        if file is None:
            return build(weights=None)
        with hdf5_check(file) as check:
            return _build_with_weights(spec, build, file, check)


def _build_with_weights(spec: ModelSpec, build: Callable[..., keras.Model], file: Path, check: Hdf5Check) -> Any:
    def get_checked_file(*args: Any, **kwargs: Any) -> str:
        check.finish()
        return str(file)

    try:
        with (
            patched(file_utils, "get_file", lambda _: get_checked_file),
            patched(legacy_h5_format, "load_subset_weights_from_hdf5_group", lambda _: read_weights),
            skip_weight_init(),
        ):
            return build(weights="imagenet")
    except ModelError as error:
        raise WeightsError(error.message, f"expected Keras's file {spec.weights_file}") from error
    except Exception as error:
        mismatch = first_mismatch(build(weights=None), file)
        raise WeightsError(
            f"{file} does not fit {spec.name}: {mismatch or first_line(error)}",
            f"expected Keras's file {spec.weights_file}",
        ) from error


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


def model_to_bytes(model: keras.Model) -> bytes:
    """Return the bytes of the `.keras` file of a model; Keras can only write to a path."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()
