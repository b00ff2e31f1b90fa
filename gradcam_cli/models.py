"""Names, files and objects become classifiers that are ready to be explained."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import h5py
import keras
import numpy as np
from keras.src.utils import file_utils

from gradcam_cli.applications import Application, applications, find_application, is_model_path
from gradcam_cli.errors import ModelError, UsageError, WeightsError
from gradcam_cli.labels import Labels, imagenet_labels, read_labels
from gradcam_cli.layers import walk
from gradcam_cli.messages import log
from gradcam_cli.network import Network, compile_network
from gradcam_cli.preprocessing import canonical, preprocess
from gradcam_cli.weights import obtain_weights, sha256

UNTRAINED = "none"
FREE_SIZE = 224
"""Side of the input of models that leave it open."""


@dataclass(frozen=True)
class Classifier:
    """A Keras model with all that is needed to use it on photos.

    Attributes:
        model: the network.
        name: of the application, or the file's stem, or the model's own.
        labels: class names; empty where there are none.
        preprocessing: a name that `preprocessing.canonical` returns.
        input_shape: (h, w, c) of its input.
        weights: the name of the weight file or model file, if it came from one.
        weights_hash: SHA-256 of that file, read beside other work.
    """

    model: keras.Model
    name: str
    labels: Labels
    preprocessing: str
    input_shape: tuple[int, int, int]
    weights: str | None = None
    weights_hash: Future[str] | None = None
    compiled: dict[tuple[tuple[str, ...], str], Network] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def class_count(self) -> int:
        """How many classes the model tells apart; a single sigmoid output tells two.

        Raises:
            ModelError: the model has not one output of shape (n, classes).
        """
        shape = self.model.compute_output_shape((1, *self.input_shape))
        if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
            raise ModelError(f"expected a classifier with one output of shape (n, classes), got {shape}")
        return max(shape[1], 2)

    def network(self, layers: Sequence[str], score: str) -> Network:
        """Return the compiled function for these layers and this score, built once a classifier."""
        key = (tuple(layers), score)
        if key not in self.compiled:
            self.compiled[key] = compile_network(self.model, layers, score)
        return self.compiled[key]

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Return the network's input (n, h, w, c) float32 for uint8 pixels of that shape."""
        return preprocess(pixels, self.preprocessing)


def load_model(
    model: str | os.PathLike[str] | keras.Model = "vgg19",
    *,
    weights: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    preprocessing: str | None = None,
    input_size: tuple[int, int] | None = None,
    allow_unsafe: bool = False,
    offline: bool = False,
) -> Classifier:
    """Load a classifier by name or from a file, or take a Keras model as it is.

    Args:
        model: the name of an application, the path of a `.keras` or `.h5` file, or a Keras model.
        weights: a weight file; None or `imagenet` looks in `GRADCAM_WEIGHTS` and in Keras's cache,
            and then fetches; `none` leaves an application untrained.
        labels: a file of class names.
        preprocessing: any of `preprocessing.preprocessing_names()`; None finds it out.
        input_size: (h, w) for a model that leaves it open.
        allow_unsafe: run the code that a model file carries in Lambda layers.
        offline: never fetch anything.

    Raises:
        ModelError: there is no such model, it cannot be opened, or it is no image classifier.
        WeightsError: its weights are missing, damaged or of another network.
        UsageError: the labels or the preprocessing are not what they should be.
    """
    own_labels = read_labels(labels) if labels is not None else None
    if preprocessing is not None:
        preprocessing = canonical(preprocessing)
    application = None
    if isinstance(model, keras.Model):
        network, name, file = model, model.name, None
    elif is_model_path(os.fspath(model)):
        file = Path(model)
        network, name = _open_model_file(file, allow_unsafe), file.stem
        if weights not in (None, "imagenet", UNTRAINED):
            file = Path(weights)
            _load_into(network, file)
    else:
        application = find_application(os.fspath(model)) or _unknown(os.fspath(model))
        file = None if weights == UNTRAINED else obtain_weights(application, weights, offline=offline)
        network, name = _build_application(application, file), application.name
    application = application or _recognise(network)
    shape = _input_shape(network, input_size, application)
    return Classifier(
        network,
        name,
        own_labels or _guess_labels(network, application),
        preprocessing or _guess_preprocessing(network, application),
        shape,
        file.name if file else None,
        _in_background(sha256, file) if file else None,
    )


def _unknown(name: str) -> Application:
    near = difflib.get_close_matches(name.lower(), applications(), 5)
    raise ModelError(
        f"model {name!r}: expected the name of an application or a .keras or .h5 file, got neither",
        (f"near matches: {', '.join(near)}; " if near else "") + "`gradcam models` lists the names",
    )


def _build_application(application: Application, file: Path | None) -> keras.Model:
    """Build an application as Keras does for ImageNet, but with the weight file that was found, if any.

    Keras builds some networks otherwise for `weights="imagenet"` than for a file (EfficientNet
    scales by ImageNet's deviation), so it is let to believe that the file came from its download.
    """
    build = getattr(keras.applications, application.function)
    if file is None:
        return build(weights=None)
    with _keras_finding(file):
        try:
            return build(weights="imagenet")
        except Exception as error:
            difference = _first_difference(build(weights=None), file)
            raise WeightsError(
                f"{file} does not fit {application.name}: {difference or _first_line(error)}",
                f"expected the file that Keras calls {application.file}",
            ) from error


@contextlib.contextmanager
def _keras_finding(file: Path) -> Iterator[None]:
    own = file_utils.get_file
    file_utils.get_file = lambda *args, **kwargs: str(file)
    try:
        yield
    finally:
        file_utils.get_file = own


def _load_into(model: keras.Model, file: Path) -> None:
    if not file.is_file():
        raise WeightsError(f"--weights {file}: expected a weight file, found none there")
    try:
        model.load_weights(file)
    except Exception as error:
        difference = _first_difference(model, file)
        raise WeightsError(f"{file} does not fit the model: {difference or _first_line(error)}") from error


def _first_difference(model: keras.Model, file: Path) -> str | None:
    """Name the first layer whose weights in a Keras 2 weight file have other shapes than the model's."""
    try:
        with h5py.File(file) as content:
            groups = content.get("model_weights", content)
            stored = {name: _shapes(group) for name, group in groups.items()}
    except OSError:
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


def _open_model_file(file: Path, allow_unsafe: bool) -> keras.Model:
    if (file / "saved_model.pb").is_file():
        raise ModelError(
            f"{file} is a SavedModel: it keeps the computation, but no layers to look at",
            "open it where its code is and export it with model.save('model.keras')",
        )
    if not file.is_file():
        raise ModelError(f"model {file}: expected a .keras or .h5 file, found none there")
    try:
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


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _input_shape(
    model: keras.Model, input_size: tuple[int, int] | None, application: Application | None
) -> tuple[int, int, int]:
    try:
        shape = model.input_shape
    except Exception as error:  # Keras raises whatever the missing piece happens to raise
        if not input_size:
            raise ModelError(
                "the size of the model's input is not known: it was never called",
                "give --input-size, or build the model before it is saved",
            ) from error
        shape = (None, *input_size, 3)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ModelError(f"expected a model of one image input (n, h, w, c), got input shape {shape}")
    _, h, w, c = shape
    if c not in (1, 3):
        channels_first = shape[1] in (1, 3)
        raise ModelError(
            f"expected an input of 1 or 3 channels in its last place, got input shape {shape}",
            "rebuild the model with data_format='channels_last' and copy the weights" if channels_first else None,
        )
    if input_size and any(fixed not in (None, asked) for fixed, asked in zip((h, w), input_size, strict=True)):
        raise UsageError(f"--input-size {input_size[0]}x{input_size[1]}: the model takes {h}x{w} and nothing else")
    free = input_size or ((application.size,) * 2 if application else (FREE_SIZE, FREE_SIZE))
    return h or free[0], w or free[1], c


def _recognise(model: keras.Model) -> Application | None:
    """Find the application that a model is or holds, by the name that Keras gives it (`mobilenet_0.75_224`)."""
    inner = [model.name] + [operation.name for _, operation in walk(model) if isinstance(operation, keras.Model)]
    for name in inner:
        if application := find_application(name) or find_application(re.sub(r"_\d.*$", "", name)):
            return application
    return None


def _guess_labels(model: keras.Model, application: Application | None) -> Labels:
    """ImageNet's names, where the model is an application and has their number of classes."""
    outputs = getattr(model, "outputs", None)
    if application and outputs and outputs[0].shape[-1] == len(imagenet_labels().names):
        return imagenet_labels()
    return Labels(())


def _guess_preprocessing(model: keras.Model, application: Application | None) -> str:
    """Take pixels as they are where the model scales them itself; otherwise its application's way, or 0..1."""
    for _, operation in walk(model):
        kind = type(operation).__name__
        if kind in ("Rescaling", "Normalization", "TrueDivide", "Divide", "Subtract", "Multiply"):
            return "none"
        if isinstance(operation, keras.Layer) and operation.weights and not isinstance(operation, keras.Model):
            break
    if application:
        return application.preprocessing
    log.warning("the model does not say how its input is scaled: taking 0..1 (--preprocess NAME says otherwise)")
    return "0..1"


def _in_background(function: Callable[[Path], str], path: Path) -> Future[str]:
    pool = ThreadPoolExecutor(1)
    future = pool.submit(function, path)
    pool.shutdown(wait=False)
    return future
