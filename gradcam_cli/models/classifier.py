"""Loading of a classifier from a model name, a file or a Keras model."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gradcam_cli.errors import GradcamError, ModelError, UsageError
from gradcam_cli.keywords import names_misspelt_keywords
from gradcam_cli.models.backbone import Backbone, find_backbone
from gradcam_cli.models.catalog import is_model_path, require_spec
from gradcam_cli.models.image_rows import ImageRows
from gradcam_cli.models.input_range import choose_preprocess
from gradcam_cli.models.input_shape import find_input_shape
from gradcam_cli.models.labels import Labels, find_labels, infer_labels
from gradcam_cli.models.loading import build_model
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.opening import check_results
from gradcam_cli.models.other_inputs import image_model
from gradcam_cli.models.preprocessing import (
    PreprocessChoice,
    given_preprocess,
    known_preprocess,
    preprocess_pixels,
    resolve_preprocess,
)
from gradcam_cli.models.task import infer_task, stored_loss
from gradcam_cli.models.weight_files import load_weights_into
from gradcam_cli.models.weights import UNTRAINED, ensure_weights
from gradcam_cli.network.layer_choice import LayerCheck, default_layer
from gradcam_cli.network.layer_trace import LayerOutput, find_output
from gradcam_cli.network.layers import require_channels_last
from gradcam_cli.network.target import CLASS, Target, require_shape, select_head
from gradcam_cli.network.target_scores import target_tensor
from gradcam_cli.network.task import TASKS
from gradcam_cli.network.trace_cache import trace_cache
from gradcam_cli.network.traced_model import TracedModel
from gradcam_cli.storage.checksum import LazySha256


@dataclass(frozen=True)
class Classifier:
    """A Keras model with its class names, preprocessing and input shape.

    Attributes:
        model: the Keras model.
        name: the catalog name, the stem of the model file, or the name of the Keras model.
        labels: class names; empty if unknown.
        preprocess_choice: the preprocessing, and why it was chosen.
        input_shape: (h, w, c) of images, (t, c) of signals, (d, h, w, c) of volumes, (t, h, w, c) of films.
        weights: name of the weight file or model file, or None.
        weights_hash: SHA-256 of this file, or None.
        task: how a single linear output is read, a name in `network.task.TASKS`.
        target: what is explained.
        other_inputs: `zeros` or the file of the inputs besides the image, or None.
        rows: the values of these inputs for each image, if they differ.
        announced: what was logged about the model.
    """

    model: keras.Model
    name: str
    labels: Labels
    preprocess_choice: PreprocessChoice
    input_shape: tuple[int, ...]
    weights: str | None = None
    weights_hash: LazySha256 | None = None
    task: str = "auto"
    target: Target = CLASS
    other_inputs: str | None = None
    rows: ImageRows | None = None
    announced: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def spatial_shape(self) -> tuple[int, ...]:
        """The input shape without the channels: (h, w) of images."""
        return self.input_shape[:-1]

    @property
    def rank(self) -> int:
        """The number of spatial axes of the input; time counts as one."""
        return len(self.spatial_shape)

    @property
    def preprocess_mode(self) -> str:
        """The preprocessing, a value returned by `resolve_preprocess`."""
        return self.preprocess_choice.mode

    @property
    def traced(self) -> TracedModel:
        """The model with its traces."""
        return TracedModel(self.model, self.input_shape, self.task, self.target)

    @property
    def layer_outputs(self) -> list[LayerOutput]:
        """The outputs of all layers and their places in the image, from one traced pass."""
        return self.traced.layer_outputs

    @property
    def check_layer(self) -> LayerCheck:
        """Returns why a layer's output cannot be explained, or None; a layer is measured once."""
        return self.traced.check_layer(self.preprocess, self.preprocess_mode)

    def find_layer(self, requested: str) -> LayerOutput:
        """Return a layer whose output is a grid over the image: by its path, or the default one for `auto`.

        Raises:
            UsageError: there is no such layer, or its output is not a grid over the image.
            ModelError: no layer has such an output, or the class score does not depend on the layer.
        """
        try:
            if requested == "auto":
                return default_layer(self.layer_outputs, self.check_layer)
            output = find_output(self.layer_outputs, self.model, requested, self.rank)
            if reason := self.check_layer(output):
                hint = "`gradcam layers MODEL` lists the layers that qualify"
                raise UsageError(f"layer {output.path}: {reason}", hint)
            return output
        except GradcamError:
            self.traced.drop_check(self.preprocess_mode)
            raise

    @property
    def class_count(self) -> int:
        """Number of classes; a single sigmoid output has two, and a single value one.

        Raises:
            ModelError: the output does not have the form of the target.
        """
        shape = select_head(self.traced.output_shape, self.target.head)
        require_shape(shape, self.target, self.rank)
        count: int = 1 if self.target.kind == "similarity" else shape[-1]
        if count != 1 or self.target.kind == "similarity" or self.task == "regression":
            return count
        linear = self.traced.output_activation == "linear"
        return 1 if self.task == "auto" and linear else 2

    @property
    def is_regression(self) -> bool:
        """Whether the output is a single value without classes."""
        return self.class_count == 1

    def for_target(self, target: Target, key: Any) -> Classifier:
        """Return the same model with another target; a target with the same key is prepared once.

        Args:
            target: what is explained; its output may be named, and the embeddings of its files are missing.
            key: of the target.

        Raises:
            UsageError: the model has no such output, or the number of class names differs.
            ModelError: the output does not have the form of the target.
        """
        chosen = self.traced.prepared(target, key)
        labels = Labels((" - ".join(target.files),)) if target.kind == "similarity" else self.labels
        changed = replace(self, target=chosen, labels=labels)
        if labels.names:
            labels.require_count(changed.class_count)
        return changed

    def embedding(self, pixels: np.ndarray) -> np.ndarray:
        """Return the embedding (d,) float32 of an input of the model's size, (h, w, c) uint8 or float32.

        Raises:
            ModelError: the output that is explained is no embedding.
        """
        output = target_tensor(self.model(self.preprocess(pixels[None]), training=False), self.target, self.rank)
        return np.asarray(output[0], np.float32)

    def preprocess(self, pixels: np.ndarray) -> np.ndarray:
        """Return the model input (n, h, w, c) float32 for pixels or values of the same shape."""
        return preprocess_pixels(pixels, self.preprocess_mode)


@names_misspelt_keywords()
def load_model(
    model: str | os.PathLike[str] | keras.Model = "vgg19",
    *,
    weights: str | None = None,
    labels: str | os.PathLike[str] | Sequence[str] | None = None,
    preprocess: str | None = None,
    input_size: tuple[int, ...] | None = None,
    allow_unsafe: bool = False,
    packages: Sequence[str] = (),
    offline: bool = False,
    task: str = "auto",
    other_inputs: str | None = None,
) -> Classifier:
    """Load a classifier by model name or file, or wrap a Keras model.

    Args:
        model: a catalog name, the path of a `.keras` or `.h5` file, or a Keras model.
        weights: a weight file; None or `imagenet` searches `GRADCAM_WEIGHTS` and Keras's cache, then
            downloads; `none` initializes a catalog model randomly.
        labels: the class names, or a file of them; None: `net.labels.txt` beside a file `net.keras`, or the names
            that are known.
        preprocess: a value in `preprocess_choices()`, or an own mean and standard deviation such as
            `0..1,mean=0.5,std=0.2`; None infers it from the model.
        input_size: (h, w), (t,) or (d, h, w) of a model with variable input size.
        allow_unsafe: allow the Python code in Lambda layers of a model file.
        packages: import names of packages whose registered classes a model file may contain.
        offline: do not download.
        task: how a single linear output is read: `binary`, as the logit of class 1; `regression`, as a value; `auto`:
            as a value, unless the model was compiled with a binary loss or is named so.
        other_inputs: all inputs but the image, as for `models.other_inputs.image_model`.

    Raises:
        ModelError: the model is unknown or cannot be opened, or its input is no image, signal or volume.
        WeightsError: the weights are missing, damaged or do not fit the model.
        UsageError: invalid labels, preprocessing or input size.
    """
    preprocess = None if preprocess is None else resolve_preprocess(preprocess)
    if task not in TASKS:
        raise UsageError(f"task: expected one of {', '.join(TASKS)}, got {task!r}")
    if not isinstance(model, (str, os.PathLike, keras.Model)):
        raise UsageError(f"expected a model name, a file or a Keras model, got {type(model).__name__}")
    spec, from_file = None, not isinstance(model, keras.Model) and is_model_path(os.fspath(model))
    given_labels = find_labels(labels, model)
    if isinstance(model, keras.Model):
        network, name, file = model, model.name, None
    elif from_file:
        file = Path(model)
        network, name = load_model_file(file, allow_unsafe, packages), file.stem
        if weights not in (None, "imagenet", UNTRAINED):
            file = Path(weights)
            load_weights_into(network, file)
    else:
        spec = require_spec(os.fspath(model))
        file = None if weights == UNTRAINED else ensure_weights(spec, weights, offline=offline)
        network, name = build_model(spec, file), spec.name
    network, rows = image_model(network, other_inputs)
    require_channels_last(network)
    trace_cache(network).drop_stale(network)
    backbone = Backbone(spec, f"as for {spec.name}") if spec else find_backbone(network)
    shape = find_input_shape(network, input_size, backbone.spec if backbone else None)
    if from_file and not allow_unsafe:
        check_results(network, shape)
    choice = given_preprocess(preprocess, shape) if preprocess is not None else None
    choice = choice or (known_preprocess(spec) if spec else choose_preprocess(network, shape, backbone))
    classifier = Classifier(
        network,
        name,
        given_labels or infer_labels(network, backbone),
        choice,
        shape,
        file.name if file else None,
        LazySha256.of(file) if file else None,
        infer_task(network, stored_loss(file) if file and from_file else None) if task == "auto" else task,
        other_inputs=other_inputs,
        rows=rows,
    )
    with contextlib.suppress(ModelError):  # no classifier; its target is not known yet
        (given_labels or Labels(())).require_count(classifier.class_count)
    return classifier
