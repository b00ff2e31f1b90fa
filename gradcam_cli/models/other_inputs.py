"""Models with several inputs: one is the image, the others are fixed or have a row for each image."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.image_input import find_image_input
from gradcam_cli.models.image_rows import ImageRows
from gradcam_cli.storage.arrays import open_arrays

ZEROS = "zeros"
"""The value of `--other-inputs` that sets all inputs but the image to zero."""
ROWS_SUFFIX = ".csv"
HINT = (
    "--other-inputs FILE.npz gives all inputs but the image, by name; FILE.csv has a row for each image; "
    "--other-inputs zeros sets them to zero"
)


class FixedInput(keras.Layer):  # type: ignore[misc]
    """Returns one array for each image of a batch, whatever the image.

    Args:
        value: (...), without the batch.
    """

    def __init__(self, value: np.ndarray, **options: Any) -> None:
        super().__init__(**options)
        self.value = value

    def call(self, x: Any) -> Any:
        """Return (n, ...) for images (n, h, w, c)."""
        return ops.broadcast_to(ops.convert_to_tensor(self.value), (ops.shape(x)[0], *self.value.shape))

    def compute_output_spec(self, x: Any) -> keras.KerasTensor:
        """Return the shape and the type for images of a batch."""
        return keras.KerasTensor((x.shape[0], *self.value.shape), dtype=self.value.dtype.name)


def image_model(model: keras.Model, other_inputs: str | None) -> tuple[keras.Model, ImageRows | None]:
    """Return a model of the image alone, and the rows of its images; a model with one input is returned unchanged.

    Args:
        model: a Keras model, which is not changed.
        other_inputs: `zeros`; an `.npz` file with an array for each input but the image, by its name, without the
            batch or with a batch of 1; or a `.csv` file for `ImageRows`.

    Raises:
        ModelError: the model has several inputs, and nothing is known of them.
        UsageError: the model has one input, or the file has no array or another shape for an input.
    """
    inputs = {tensor.name: tensor for tensor in getattr(model, "inputs", None) or ()}
    if len(inputs) < 2:
        if other_inputs:
            raise UsageError("--other-inputs: the model has only one input")
        return model, None
    described = ", ".join(f"{name} {tuple(tensor.shape[1:])}" for name, tensor in inputs.items())
    if other_inputs is None:
        raise ModelError(f"the model has {len(inputs)} inputs: {described}", HINT)
    has_rows = other_inputs.lower().endswith(ROWS_SUFFIX)
    arrays = {} if has_rows or other_inputs == ZEROS else _read(Path(other_inputs), inputs)
    found = find_image_input({name: tensor.shape for name, tensor in inputs.items() if name not in arrays})
    if found is None:
        raise UsageError(f"--other-inputs: expected one image among the inputs that are left, got {described}", HINT)
    others = {name: tensor for name, tensor in inputs.items() if name != found}
    if has_rows:
        shapes = {name: (_fixed_shape(name, tensor), tensor.dtype) for name, tensor in others.items()}
        rows = ImageRows(Path(other_inputs), shapes)
        return _without(model, inputs, found, rows.layers()), rows
    if other_inputs == ZEROS:
        arrays = {name: np.zeros(_fixed_shape(name, tensor), np.float32) for name, tensor in others.items()}
    if missing := inputs.keys() - arrays.keys() - {found}:
        raise UsageError(f"--other-inputs: the file has no array {min(missing)}; the inputs are {described}")
    fixed = {name: FixedInput(value, name=f"fixed_{name}") for name, value in arrays.items()}
    return _without(model, inputs, found, fixed), None


def _without(
    model: keras.Model, inputs: Mapping[str, Any], name: str, layers: Mapping[str, keras.Layer]
) -> keras.Model:
    """Return the model of the image `name`; each other input is what a layer returns for the image."""
    image = keras.Input(inputs[name].shape[1:], name=name)
    tensors = [layers[each](image) if each in layers else image for each in inputs]
    return keras.Model(image, model(tensors), name=f"{model.name}_of_image")


def _read(file: Path, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
    with open_arrays(file) as stored:
        arrays = {name: np.asarray(stored[name]) for name in stored}
    for name, array in arrays.items():
        if name not in inputs:
            raise UsageError(f"--other-inputs: {file}: the model has no input {name}", f"it has {', '.join(inputs)}")
        expected = tuple(inputs[name].shape[1:])
        if array.ndim == len(expected) + 1 and len(array) == 1:
            array = array[0]
        fits = array.ndim == len(expected)
        fits = fits and all(side in (None, size) for side, size in zip(expected, array.shape, strict=True))
        if not fits or array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            raise UsageError(
                f"--other-inputs: {name}: expected finite numbers of shape {expected}, got {array.shape} {array.dtype}"
            )
        arrays[name] = array.astype(keras.backend.standardize_dtype(inputs[name].dtype))
    return arrays


def _fixed_shape(name: str, tensor: Any) -> tuple[int, ...]:
    shape = tuple(tensor.shape[1:])
    if None in shape:
        raise UsageError(f"--other-inputs: input {name} has no fixed shape {shape}", HINT)
    return shape
