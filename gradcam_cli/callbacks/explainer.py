"""The maps of fixed images by a model whose weights change: one trace, and one pass for each epoch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras
import numpy as np

from gradcam_cli.callbacks.images import InputValues, as_batch, read_fixed_images
from gradcam_cli.callbacks.record import MAX_SIDE, RecordedImage, TrainingRun
from gradcam_cli.errors import UsageError
from gradcam_cli.images.fit import crop_box_for
from gradcam_cli.images.load import Failure, LoadedImage, Unexplained
from gradcam_cli.models.class_selection import ClassSelector, resolve_classes
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.trace_cache import temporary_traces
from gradcam_cli.output.scaling import scale_image, scaled_size
from gradcam_cli.pipeline.api_options import classifier_of, config_of, reader_of
from gradcam_cli.pipeline.model_input import ModelInput, to_whole_input
from gradcam_cli.pipeline.reading import require_model_of_images
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import make_explanations, run_batches

AS_PASSED = "none"
"""The preprocessing of images that are the model input as they are."""


class Explainer:
    """Computes the maps of fixed images. It holds the traced functions; nothing is left in the model.

    Args:
        model: a built Keras model.
        images: as for `GradCAM`.
        layer: its path, or `auto`.
        classes: one class for all images, or one for each.
        method: a name in `LAYER_METHODS`.
        options: further keywords of `explain`.

    Raises:
        InputError: an image cannot be read, or does not fit the model.
        UsageError: the model takes no images, the layer or a class does not exist, or an option value is wrong.
        ModelError: the model cannot be explained.
    """

    def __init__(
        self, model: keras.Model, images: Any, layer: str, classes: Any, method: str, options: dict[str, Any]
    ) -> None:
        self._model = model
        with temporary_traces(model):
            classifier = classifier_of(model, {**options, "input_size": _input_size(model, images, options)})
            require_model_of_images(classifier.rank, "the callback")
            loaded = read_fixed_images(as_batch(images, classifier.input_shape), _reader(classifier, options))
            selectors = _selectors(classes, len(loaded), classifier)
            config = config_of(layer, "top", method, None, options)
            self._run = replace(prepare_run(classifier, config), classes=selectors[:1])
            self._selectors = selectors
            self._inputs = [self._fit(image, each) for image, each in zip(loaded, selectors, strict=True)]
            self.layer = next(iter(self._run.layers))
            self.explain()  # traces the model, and raises its errors before the training

    @property
    def images(self) -> list[LoadedImage]:
        """The images, as they are shown."""
        return [each.image for each in self._inputs]

    @cached_property
    def description(self) -> TrainingRun:
        """What the maps of all epochs share."""
        name, method = self._run.classifier.name, self._run.config.methods[0]
        return TrainingRun(name, self.layer, method, self.fingerprint, tuple(map(self._recorded, self._inputs)))

    def _recorded(self, each: ModelInput) -> RecordedImage:
        map_box, _ = self._run.covered_boxes(0, self._run.config.methods[0], each.crop_box)
        H, W = each.image.shape
        return RecordedImage(each.image.name, (H, W), map_box, each.crop_box)

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the model inputs: maps of two trainings are of the same images if it is equal."""
        digest = hashlib.sha256(json.dumps([list(self._inputs[0].pixels.shape), len(self._inputs)]).encode())
        for each in self._inputs:
            digest.update(np.ascontiguousarray(each.pixels).tobytes())
        return digest.hexdigest()

    def explain(self) -> list[Explanation | Unexplained]:
        """Return the map of each image by the current weights, from one pass.

        A map of NaN becomes a `Failure`, and so do all maps if a weight is not finite: a ReLU may turn NaN into zero.
        """
        if damaged := _damaged_weight(self._model):
            reason = f"the weights {damaged} contain NaN or infinity"
            return [Failure(image.name, reason) for image in self.images]
        with temporary_traces(self._model):
            size = min(len(self._inputs), self._run.batch_size)
            results: list[Explanation | Unexplained] = []
            for selector, forward in zip(self._selectors, run_batches(self._run, self._inputs, size), strict=True):
                made = make_explanations(replace(self._run, classes=[selector]), forward)
                results.append(made if isinstance(made, Unexplained) else made[0])
            return results

    def _fit(self, image: LoadedImage, selector: ClassSelector) -> ModelInput:
        """Fit an image to the model; the picture that is shown is at most `MAX_SIDE` pixels large."""
        fitted = to_whole_input(self._run, image)
        if isinstance(fitted, Unexplained):
            raise UsageError(f"{fitted.source}: {fitted.error}", fitted.hint)
        pixels, crop_box = image.pixels, fitted.crop_box
        if max(image.shape) > MAX_SIDE:
            pixels = scale_image(pixels, scaled_size(image.shape, MAX_SIDE))
            crop_box = crop_box_for(pixels.shape[:2], self._run.classifier.input_shape[:2], self._run.config.fit)
        shown = LoadedImage(image.name, pixels, image.sha256)
        return ModelInput(shown, crop_box, fitted.pixels, (selector.index_or_rank,))


def _damaged_weight(model: keras.Model) -> str | None:
    """Return the path of the first weights that contain NaN or infinity, or None."""
    numbers = (weight for weight in model.weights if "float" in keras.backend.standardize_dtype(weight.dtype))
    return next((each.path for each in numbers if not keras.ops.all(keras.ops.isfinite(each))), None)


def _reader(classifier: Classifier, options: dict[str, Any]) -> Any:
    """Return the reader of the images: arrays without preprocessing are passed to the model as they are."""
    pictures = reader_of(classifier, options)
    if options["preprocess"] != AS_PASSED:
        return pictures
    return InputValues(classifier.input_shape, pictures, options.get("max_value"), options.get("rgb"))


def _input_size(model: keras.Model, images: Any, options: dict[str, Any]) -> tuple[int, int] | None:
    """Return the requested input size, or that of the arrays for a model whose input size varies or is unknown."""
    size = options.get("input_size")
    fixed = getattr(model, "input_shape", None)  # a subclassed model has none
    if size or options["preprocess"] != AS_PASSED or (isinstance(fixed, tuple) and None not in fixed[1:-1]):
        return size
    first = images if len(getattr(images, "shape", ())) == 4 else next(iter(images), None)
    shape = tuple(getattr(first, "shape", ()))
    return shape[-3:-1] if len(shape) >= 3 else None


def _selectors(classes: Any, count: int, classifier: Classifier) -> list[ClassSelector]:
    """Return the class of each image.

    Raises:
        UsageError: there is another number of classes than of images, or a class is none of the model.
    """
    if isinstance(classes, (str, int, np.integer)) or not isinstance(classes, Iterable):
        return [_selector(classes, classifier)] * count
    listed: Sequence[Any] = np.asarray(classes).ravel().tolist() if hasattr(classes, "__array__") else list(classes)
    if len(listed) != count:
        raise UsageError(f"classes: expected one class, or one for each of {count} images, got {len(listed)}")
    return [_selector(each, classifier) for each in listed]


def _selector(request: Any, classifier: Classifier) -> ClassSelector:
    if isinstance(request, np.ndarray) and request.size == 1:
        request = request.item()
    if isinstance(request, np.integer):
        request = int(request)
    if isinstance(request, bool) or not isinstance(request, (int, str)):
        raise UsageError(f"classes: expected an index, a name or top, got {request!r}")
    found = resolve_classes([request], classifier.labels, classifier.class_count)
    if len(found) != 1 or found[0].members:
        raise UsageError(f"classes: expected one class for an image, got {request!r}")
    return found[0]
