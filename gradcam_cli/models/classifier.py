"""Names, files and objects become classifiers that are ready to be explained."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from gradcam_cli.console import log
from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.catalog import ModelSpec, catalog, find_spec, is_model_path
from gradcam_cli.models.labels import Labels, read_labels, spec_labels
from gradcam_cli.models.loading import build_model, load_model_file, load_weights_into
from gradcam_cli.models.preprocessing import preprocess_pixels, resolve_preprocess
from gradcam_cli.models.weights import ensure_weights
from gradcam_cli.network.gradients import GradientFunction, compile_gradient_function
from gradcam_cli.network.layers import iter_layers, output_shape, require_channels_last
from gradcam_cli.storage.checksum import LazySha256

UNTRAINED = "none"
DEFAULT_INPUT_SIZE = 224
"""Side of the input of models that leave it open."""


@dataclass(frozen=True)
class Classifier:
    """A Keras model with all that is needed to use it on photos.

    Attributes:
        model: the network.
        name: of the application, or the file's stem, or the model's own.
        labels: class names; empty where there are none.
        preprocess_mode: a name that `preprocessing.canonical` returns.
        input_shape: (h, w, c) of its input.
        weights: the name of the weight file or model file, if it came from one.
        weights_hash: SHA-256 of that file.
    """

    model: keras.Model
    name: str
    labels: Labels
    preprocess_mode: str
    input_shape: tuple[int, int, int]
    weights: str | None = None
    weights_hash: LazySha256 | None = None
    _function_cache: dict[tuple[tuple[str, ...], str, str], GradientFunction] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def class_count(self) -> int:
        """How many classes the model tells apart; a single sigmoid output tells two.

        Raises:
            ModelError: the model has not one output of shape (n, classes).
        """
        shape = output_shape(self.model, self.input_shape)
        if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[1], int):
            raise ModelError(f"expected a classifier with one output of shape (n, classes), got {shape}")
        return max(shape[1], 2)

    def gradient_function(self, layers: Sequence[str], score: str, precision: str = "float32") -> GradientFunction:
        """Return the compiled function for these layers, this score and precision, built once a classifier."""
        key = (tuple(layers), score, precision)
        if key not in self._function_cache:
            self._function_cache[key] = compile_gradient_function(self.model, layers, score, precision)
        return self._function_cache[key]

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        """Return the network's input (n, h, w, c) float32 for uint8 pixels of that shape."""
        return preprocess_pixels(pixels, self.preprocess_mode)


def load_model(
    model: str | os.PathLike[str] | keras.Model = "vgg19",
    *,
    weights: str | None = None,
    labels: str | os.PathLike[str] | None = None,
    preprocess: str | None = None,
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
        preprocess: any of `preprocessing.preprocessing_names()`; None finds it out.
        input_size: (h, w) for a model that leaves it open.
        allow_unsafe: run the code that a model file carries in Lambda layers.
        offline: never fetch anything.

    Raises:
        ModelError: there is no such model, it cannot be opened, or it is no image classifier.
        WeightsError: its weights are missing, damaged or of another network.
        UsageError: the labels or the preprocessing are not what they should be.
    """
    own_labels = read_labels(labels) if labels is not None else None
    if preprocess is not None:
        preprocess = resolve_preprocess(preprocess)
    application = None
    if isinstance(model, keras.Model):
        network, name, file = model, model.name, None
    elif is_model_path(os.fspath(model)):
        file = Path(model)
        network, name = load_model_file(file, allow_unsafe), file.stem
        if weights not in (None, "imagenet", UNTRAINED):
            file = Path(weights)
            load_weights_into(network, file)
    else:
        application = find_spec(os.fspath(model)) or _raise_unknown_model(os.fspath(model))
        file = None if weights == UNTRAINED else ensure_weights(application, weights, offline=offline)
        network, name = build_model(application, file), application.name
    require_channels_last(network)
    application = application or _detect_spec(network)
    shape = _input_shape(network, input_size, application)
    classifier = Classifier(
        network,
        name,
        own_labels or _infer_labels(network, application),
        preprocess or _infer_preprocess(network, application),
        shape,
        file.name if file else None,
        LazySha256(file) if file else None,
    )
    if own_labels and len(own_labels.names) != classifier.class_count:
        raise UsageError(
            f"labels {labels}: expected {classifier.class_count} names, one a class, got {len(own_labels.names)}"
        )
    return classifier


def _raise_unknown_model(name: str) -> ModelSpec:
    near = difflib.get_close_matches(name.lower(), catalog(), 5)
    raise ModelError(
        f"model {name!r}: expected the name of an application or a .keras or .h5 file, got neither",
        (f"near matches: {', '.join(near)}; " if near else "") + "`gradcam models` lists the names",
    )


def _input_shape(
    model: keras.Model, input_size: tuple[int, int] | None, spec: ModelSpec | None
) -> tuple[int, int, int]:
    shape = getattr(model, "input_shape", None) or (model.get_build_config() or {}).get("input_shape")
    if shape is None and input_size is None:
        raise ModelError(
            "the model does not say the size of its input", "give --input-size, or call the model once before saving it"
        )
    shape = shape or (None, *(input_size or ()), 3)
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
    free = input_size or ((spec.input_size,) * 2 if spec else (DEFAULT_INPUT_SIZE, DEFAULT_INPUT_SIZE))
    return h or free[0], w or free[1], c


def _detect_spec(model: keras.Model) -> ModelSpec | None:
    """Find the application that a model is or holds, by the name that Keras gives it (`mobilenet_0.75_224`)."""
    inner = [model.name] + [operation.name for _, operation in iter_layers(model) if isinstance(operation, keras.Model)]
    for name in inner:
        if application := find_spec(name) or find_spec(re.sub(r"_\d.*$", "", name)):
            return application
    return None


def _infer_labels(model: keras.Model, spec: ModelSpec | None) -> Labels:
    """The names that the model's last layer holds, or those of its application's classes, where it has as many."""
    if names := getattr(next(iter(reversed(getattr(model, "layers", []))), None), "labels", ()):
        return Labels(tuple(names))
    outputs = getattr(model, "outputs", None)
    if spec and outputs and outputs[0].shape[-1] == len(spec_labels(spec).names):
        return spec_labels(spec)
    return Labels(())


def _infer_preprocess(model: keras.Model, spec: ModelSpec | None) -> str:
    """Take pixels as they are where the model scales them itself; otherwise its application's way, or 0..1."""
    for _, operation in iter_layers(model):
        kind = type(operation).__name__
        if kind in ("Rescaling", "Normalization", "TrueDivide", "Divide", "Subtract", "Multiply"):
            return "none"
        if isinstance(operation, keras.Layer) and operation.weights and not isinstance(operation, keras.Model):
            break
    if spec:
        return spec.preprocess
    log.warning("the model does not say how its input is scaled: taking 0..1 (--preprocess NAME says otherwise)")
    return "0..1"
