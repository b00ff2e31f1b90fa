"""Opening of model files, of Keras 3 and of Keras 2. All commands open model files here."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from textwrap import shorten
from typing import Any

import keras
from keras.src.legacy.saving import legacy_h5_format
from keras.src.saving import saving_lib, serialization_lib

from gradcam_cli.errors import ModelError
from gradcam_cli.models.archive_weights import weights_in_place
from gradcam_cli.models.channels_first import is_channels_first, to_channels_last
from gradcam_cli.models.config_check import check_config, registered_names
from gradcam_cli.models.hdf5_classes import add_modules
from gradcam_cli.models.hdf5_weights import load_weights
from gradcam_cli.models.keras2.translate import is_keras2, translate
from gradcam_cli.models.loading import skip_weight_init
from gradcam_cli.models.opening import limited_results, network_off, patched
from gradcam_cli.models.other_formats import require_model_file
from gradcam_cli.models.packages import import_packages
from gradcam_cli.models.safety import (
    Hdf5Check,
    hdf5_check,
    is_archive,
    max_decompressed_size,
    read_archive,
    with_keras_suffix,
)
from gradcam_cli.models.weight_files import first_line
from gradcam_cli.models.weight_tensors import read_stored
from gradcam_cli.network.keras_settings import default_settings

PACKAGE = "gradcam_cli"
"""The package whose registered classes a model file may contain."""


def load_model_file(file: Path, allow_unsafe: bool, packages: Collection[str] = ()) -> keras.Model:
    """Load a model from a `.keras` or `.h5` file.

    Args:
        file: the model file.
        allow_unsafe: skip the check of the configuration, and run the code that the file contains.
        packages: import names of packages, other than this one, whose registered classes the file may contain;
            they are imported first.

    Raises:
        ModelError: the file is missing, damaged, of another format, contains only weights, or is unsafe; or it is of
            Keras 2, and contains what Keras 3 cannot express.
        UsageError: a package cannot be imported, or registers no class.
    """
    require_model_file(file)
    import_packages(packages)
    with hdf5_check(file) as check:
        try:
            model = _open(file, check, None if allow_unsafe else {PACKAGE, *packages})
        except Exception as error:
            raise _opening_error(file, error) from error
    if not isinstance(model, keras.Model):
        raise ModelError(f"{file}: expected a Keras model, got {type(model).__name__}")
    return model


def _open(file: Path, check: Hdf5Check, packages: set[str] | None) -> Any:
    """Open a file, which may contain the classes of some packages, or anything (None).

    Keras creates the model from the configuration that was translated and checked here.
    """
    text, version = read_archive(file) if is_archive(file) else (check.finish(), check.keras_version)
    if text is None:
        raise ModelError(f"{file} contains only weights", "give the model by --model and this file by --weights")
    if PACKAGE in text:
        import gradcam_cli.neuralode.layers  # noqa: F401  # registers the classes
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{file} is damaged: its configuration is not valid JSON: {error}") from error
    keras2 = is_keras2(config, version)
    with contextlib.ExitStack() as stack:
        stack.enter_context(default_settings())
        with _version_in_errors((version or "2") if keras2 else ""):
            config = translate(config) if keras2 else config if is_archive(file) else add_modules(config)
            if packages is not None:
                check_config(config, registered_names(keras.saving.get_custom_objects(), packages))
            if is_channels_first(config):
                config = to_channels_last(config)
        if packages is not None:
            stack.enter_context(network_off())
            stack.enter_context(limited_results())
        if packages == {PACKAGE}:  # layers of other packages may use the arrays as such
            stack.enter_context(patched(saving_lib.H5IOStore, "__getitem__", read_stored))
            check.read_ahead()
        return _load(file, config, check, allow_unsafe=packages is None)


@contextlib.contextmanager
def _version_in_errors(version: str) -> Iterator[None]:
    """Add the version of Keras that wrote the file, if it is an old one, to an error of the block."""
    try:
        yield
    except ModelError as error:
        if not version:
            raise
        raise ModelError(f"{error.message}; the file was written by Keras {version}", error.hint) from error


def _load(file: Path, config: Any, check: Hdf5Check, *, allow_unsafe: bool) -> Any:
    def create_model(create: Callable[..., Any]) -> Callable[..., Any]:
        def call(_: Any, *args: Any) -> Any:
            result = create(json.dumps(config), *args)
            check.finish()  # before the weights are read
            return result

        return call

    with (
        skip_weight_init(max_decompressed_size(file)),
        with_keras_suffix(file) as path,
        contextlib.ExitStack() as stack,
    ):
        if is_archive(file):
            stack.enter_context(patched(saving_lib, "_model_from_config", create_model))
            stack.enter_context(weights_in_place())
        else:
            stack.enter_context(patched(legacy_h5_format.json_utils, "decode", create_model))
            stack.enter_context(patched(legacy_h5_format, "load_weights_from_hdf5_group", lambda _: load_weights))
            stack.enter_context(patched(serialization_lib, "deserialize_keras_object", _keep_ellipsis))
        return keras.saving.load_model(path, compile=False, safe_mode=not allow_unsafe)


def _keep_ellipsis(read: Callable[..., Any]) -> Callable[..., Any]:
    """Let `x[..., 0]` in an `.h5` file be read: Keras decodes the ellipsis twice, and fails at the second time."""
    return lambda config, *args, **kwargs: config if config is ... else read(config, *args, **kwargs)


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
            "for a model with classes of your own, add --import PACKAGE, or load it in Python and pass it to "
            "gradcam_cli.explain",
        )
    message = own.message if str(file) in own.message else f"cannot open {file}: {own.message}"
    return ModelError(shorten(message, 500, placeholder=" ..."), own.hint)
