"""The keywords that the functions of the Python API share, and what they set up."""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from gradcam_cli.errors import UsageError
from gradcam_cli.images.in_memory import ImageReader
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.keywords import keyword_names
from gradcam_cli.models.class_selection import TRUTH
from gradcam_cli.models.classifier import Classifier, load_model
from gradcam_cli.pipeline.config import DEFAULTS, SETTINGS, ExplainConfig, RunSettings
from gradcam_cli.pipeline.differences import TOP
from gradcam_cli.pipeline.reading import read_options_of
from gradcam_cli.pipeline.run import PreparedRun, prepare_run
from gradcam_cli.pipeline.truth import requested_truth, require_expect_alone

LOAD_OPTIONS = keyword_names(load_model)[1:]
"""The arguments of `load_model` besides the model."""
OPTIONS = (
    *(name for name in SETTINGS if name != "batch_size"),
    "top_k",
    "truth",
    "expect",
    "max_pixels",
    *LOAD_OPTIONS,
)
"""The keywords that `explain`, `explain_many` and `evaluate` share."""
READ_SETTINGS = ("max_value", "rgb", "axes", "window")
"""Those of `SETTINGS` that say how an input is read."""


def prepare(
    model: str | os.PathLike[str] | keras.Model | Classifier,
    layers: str | Sequence[str],
    classes: str | int | Sequence[str | int],
    methods: str | Sequence[str],
    batch_size: int | None,
    options: dict[str, Any],
) -> tuple[PreparedRun, ImageReader]:
    """Return a prepared run and the reader of its images, from `OPTIONS`."""
    classifier = classifier_of(model, options)
    return prepare_run(classifier, config_of(layers, classes, methods, batch_size, options)), reader_of(
        classifier, options
    )


def config_of(
    layers: str | Sequence[str],
    classes: str | int | Sequence[str | int],
    methods: str | Sequence[str],
    batch_size: int | None,
    options: dict[str, Any],
) -> ExplainConfig:
    """Return the configuration of a run, from its maps and `OPTIONS`."""
    settings = {name: value for name, value in options.items() if name in (*SETTINGS, "top_k")}
    settings["against"] = [str(each) if isinstance(each, int) else each for each in several(options.get("against", ()))]
    truth, expect = options.get("truth"), options.get("expect")
    if expect is not None:
        require_expect_alone(truth, has_classes=several(classes) != ("top",))
        classes = (TOP, TRUTH)
    source = requested_truth(
        truth if truth is None else os.fspath(truth),
        expect if expect is None else str(expect),
        options.get("target", DEFAULTS["target"]),
    )
    return ExplainConfig(
        layers=several(layers),
        classes=several(classes),
        methods=several(methods),
        batch_size=batch_size,
        truth=source,
        **settings,
    )


def classifier_of(model: str | os.PathLike[str] | keras.Model | Classifier, options: dict[str, Any]) -> Classifier:
    """Return a classifier, loaded with those of `OPTIONS` that are arguments of `load_model`.

    Raises:
        UsageError: the model is loaded already, and there are such arguments.
    """
    arguments = {name: value for name, value in options.items() if name in LOAD_OPTIONS}
    if not isinstance(model, Classifier):
        return load_model(model, **arguments)
    defaults = inspect.signature(load_model).parameters
    if given := [name for name, value in arguments.items() if value and value != defaults[name].default]:
        raise UsageError(f"{', '.join(given)}: expected a model that is not loaded yet, got a Classifier")
    return model


def reader_of(classifier: Classifier, options: dict[str, Any]) -> ImageReader:
    """Return the reader of the inputs for a classifier, with the keywords of `OPTIONS` that say how they are read.

    Raises:
        UsageError: as `read_options_of`.
    """
    settings = RunSettings(**{name: options[name] for name in READ_SETTINGS if name in options})
    read_options = read_options_of(settings, classifier.rank, options.get("max_pixels", MAX_PIXELS))
    return ImageReader(classifier.input_shape, read_options)


def several(values: Any) -> tuple[Any, ...]:
    """Return one or several values as a tuple."""
    return (values,) if isinstance(values, (str, int)) or not isinstance(values, Iterable) else tuple(values)
