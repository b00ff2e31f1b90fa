"""Building of catalog models with their weights, and opening of model files."""

from __future__ import annotations

import contextlib
import json
import math
import tempfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

import keras
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format
from keras.src.saving import saving_lib
from keras.src.utils import file_utils

from gradcam_cli.errors import ModelError, WeightsError
from gradcam_cli.models.catalog import ModelSpec
from gradcam_cli.models.config_check import check_config, registered_names
from gradcam_cli.models.keras2.translate import is_keras2, translate
from gradcam_cli.models.mini import build_mini
from gradcam_cli.models.opening import limited_results, network_off, patched
from gradcam_cli.models.safety import (
    Hdf5Check,
    hdf5_check,
    is_archive,
    is_checked,
    max_decompressed_size,
    read_config,
)
from gradcam_cli.models.weight_files import first_line, first_mismatch
from gradcam_cli.network.keras_settings import default_settings

_SAVE = "save the Keras model that it was made from with model.save('model.keras')"
_CONVERT = "rebuild the network in Keras with its weights, and save it with model.save('model.keras')"
OTHER_FORMATS = {
    ".tflite": f"a TensorFlow Lite file has no gradients; {_SAVE}",
    ".pb": f"a SavedModel or frozen graph has no Keras layers; {_SAVE}",
    ".onnx": f"an ONNX file has no Keras layers; {_CONVERT}",
    **dict.fromkeys((".pt", ".pth", ".safetensors"), f"a PyTorch file has no Keras layers; {_CONVERT}"),
    ".json": "a configuration has no weights; save the model with model.save('model.keras')",
}
"""Hints for files of other formats, by suffix."""
PACKAGE = "gradcam_cli"
"""The package whose registered classes a model file may contain."""


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
            return build_mini(file)
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
        with patched(file_utils, "get_file", lambda _: get_checked_file), skip_weight_init():
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


def load_model_file(file: Path, allow_unsafe: bool, packages: Collection[str] = ()) -> keras.Model:
    """Load a model from a `.keras` or `.h5` file. All commands open model files here.

    Args:
        file: the model file.
        allow_unsafe: skip the check of the configuration, and run the code that the file contains.
        packages: import names of packages, other than this one, whose registered classes the file may contain.

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
    if not is_checked(file):
        raise ModelError(f"cannot open {file}: expected a .keras or .h5 file", OTHER_FORMATS.get(file.suffix.lower()))
    from gradcam_cli.neuralode.layers import ode_block, odenet, spiral_net  # noqa: F401  # registers the classes

    with hdf5_check(file) as check:
        try:
            model = _open_unsafe(file, check) if allow_unsafe else _open_checked(file, check, {PACKAGE, *packages})
        except Exception as error:
            raise _opening_error(file, error) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{file}: expected a Keras model, got {type(model).__name__}")
    return model


def _open_unsafe(file: Path, check: Hdf5Check) -> Any:
    if is_archive(file):
        read_config(file)
    check.finish()
    with default_settings():
        return _load(file, allow_unsafe=True)


def _open_checked(file: Path, check: Hdf5Check, packages: set[str]) -> Any:
    """Open a file whose configuration is checked. Keras creates the model from the checked configuration."""
    text = read_config(file) if is_archive(file) else check.finish()
    if text is None:
        raise ModelError(f"{file} contains only weights", "give the model by --model and this file by --weights")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is damaged: its configuration is not valid JSON: {error}") from error
    if is_keras2(config):
        config = translate(config)
    check_config(config, registered_names(keras.saving.get_custom_objects(), packages))

    def create_model(create: Callable[..., Any]) -> Callable[..., Any]:
        def call(_: Any, *args: Any) -> Any:
            result = create(json.dumps(config), *args)
            check.finish()  # before the weights are read
            return result

        return call

    with default_settings(), network_off(), limited_results(), contextlib.ExitStack() as stack:
        if is_archive(file):
            stack.enter_context(patched(saving_lib, "_model_from_config", create_model))
        else:
            stack.enter_context(patched(legacy_h5_format.json_utils, "decode", create_model))
        return _load(file, allow_unsafe=False)


def _load(file: Path, allow_unsafe: bool) -> Any:
    with skip_weight_init(max_decompressed_size(file)), _with_suffix(file) as path:
        return keras.saving.load_model(path, compile=False, safe_mode=not allow_unsafe)


@contextlib.contextmanager
def _with_suffix(file: Path) -> Iterator[Path]:
    """Yield a path of a file whose suffix is that of its content, by which Keras goes: a link if need be."""
    suffixes = (".keras",) if is_archive(file) else (".h5", ".hdf5")
    if file.name.endswith(suffixes):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / f"model{suffixes[0]}"
        link.symlink_to(file.absolute())
        yield link


def _opening_error(file: Path, error: BaseException) -> ModelError:
    """Return the error of a check, which Keras may have wrapped into another one, with the name of the file."""
    own = None
    cause: BaseException | None = error
    while cause is not None:
        own = cause if isinstance(cause, ModelError) else own  # the first one; Keras adds its text to copies of it
        cause = cause.__cause__ or cause.__context__
    if own is None:
        return ModelError(
            f"cannot open {file}: {first_line(error)}",
            "load a model with custom classes in Python and pass it to gradcam_cli.explain",
        )
    message = own.message if str(file) in own.message else f"cannot open {file}: {own.message}"
    return ModelError(shorten(message, 500, placeholder=" ..."), own.hint)


def model_to_bytes(model: keras.Model) -> bytes:
    """Return the bytes of the `.keras` file of a model; Keras can only write to a path."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model.keras")
        return (Path(folder) / "model.keras").read_bytes()
