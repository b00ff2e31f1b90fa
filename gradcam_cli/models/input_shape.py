"""The input shape of a model."""

from __future__ import annotations

import keras

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.catalog import ModelSpec
from gradcam_cli.network.layers import iter_layers

DEFAULT_INPUT_SIZE = 224
"""Input side in pixels of models with variable input size."""


def find_input_shape(
    model: keras.Model, input_size: tuple[int, int] | None, spec: ModelSpec | None
) -> tuple[int, int, int]:
    """Return the input shape (h, w, c) of a model.

    A variable size is `input_size`, or that of a model inside, of the catalog model, or 224x224.

    Args:
        model: a Keras model with one image input.
        input_size: the requested (h, w), or None.
        spec: the catalog model that it is or contains, or None.

    Raises:
        ModelError: the model has no image input.
        UsageError: the model has another size than the requested one.
    """
    shape = getattr(model, "input_shape", None) or (model.get_build_config() or {}).get("input_shape")
    if shape is None and input_size is None:
        raise ModelError("the model has no input shape", "give --input-size, or call the model once before saving it")
    shape = shape or (None, *(input_size or ()), 3)
    while isinstance(shape, (list, dict)) and len(shape) == 1:  # one input in a list or dict
        shape = next(iter(shape.values() if isinstance(shape, dict) else shape))
    if isinstance(shape, list):  # of a subclassed model, read from JSON
        shape = tuple(shape)
    if not isinstance(shape, tuple) or len(shape) != 4:
        raise ModelError(f"expected a model with one image input (n, h, w, c), got input shape {shape}")
    _, h, w, c = shape
    if c is None or (c not in (1, 3) and shape[1] in (1, 3)):
        raise ModelError(
            f"expected the number of channels in the last dimension, got input shape {shape}",
            "rebuild the model with data_format='channels_last' and copy the weights" if c else None,
        )
    if input_size and any(fixed not in (None, side) for fixed, side in zip((h, w), input_size, strict=True)):
        raise UsageError(f"--input-size: the model requires {h}x{w}, got {input_size[0]}x{input_size[1]}")
    default = input_size or _inner_size(model) or ((spec.input_size,) * 2 if spec else (DEFAULT_INPUT_SIZE,) * 2)
    return h or default[0], w or default[1], c


def _inner_size(model: keras.Model) -> tuple[int, int] | None:
    """Return (h, w) of the first model inside that has a fixed input size, or None."""
    for _, operation in iter_layers(model):
        shape = getattr(operation, "input_shape", None) if isinstance(operation, keras.Model) else None
        if isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:3]:
            return shape[1], shape[2]
    return None
