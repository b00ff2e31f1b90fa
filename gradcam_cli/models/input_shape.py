"""The input shape of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.catalog import ModelSpec
from gradcam_cli.network.layers import iter_layers

DEFAULT_INPUT_SIZE = 224
"""Input side in pixels of models of images with variable input size."""
IMAGE_RANK, MAX_RANK = 2, 3
SHAPES = "(n, h, w, c) of images, (n, t, c) of signals or (n, d, h, w, c) of volumes"


def find_input_shape(model: keras.Model, input_size: tuple[int, ...] | None, spec: ModelSpec | None) -> tuple[int, ...]:
    """Return the input shape of a model: (h, w, c) of images, (t, c) of signals, (d, h, w, c) of volumes and films.

    A variable size is `input_size`; for images also that of a model inside, of the catalog model, or 224x224.

    Args:
        model: a Keras model with one input.
        input_size: the requested (h, w), (t,) or (d, h, w), or None; a single number is the side of a square image.
        spec: the catalog model that it is or contains, or None.

    Raises:
        ModelError: the model has no such input, or a signal or a volume of variable size.
        UsageError: the model has another size than the requested one.
    """
    shape = _stored_shape(model, input_size)
    if not isinstance(shape, tuple) or not 1 <= len(shape) - 2 <= MAX_RANK:
        raise ModelError(f"expected a model with one input, {SHAPES}, got input shape {shape}")
    _, *sides, c = shape
    if c is None or (len(sides) == IMAGE_RANK and c not in (1, 3) and sides[0] in (1, 3)):
        raise ModelError(
            f"expected the number of channels in the last dimension, got input shape {shape}",
            "rebuild the model with data_format='channels_last' and copy the weights" if c else None,
        )
    if input_size:
        input_size = input_size * len(sides) if len(input_size) == 1 else input_size
        _require_size(sides, input_size)
    elif None in sides:
        input_size = _default_size(model, sides, spec)
    return *(side or size for side, size in zip(sides, input_size or sides, strict=True)), c


def _stored_shape(model: keras.Model, input_size: Sequence[int] | None) -> Any:
    """Return the shape of the only input of a model; a model without one takes RGB images of the requested size."""
    shape = getattr(model, "input_shape", None) or (model.get_build_config() or {}).get("input_shape")
    if shape is None and not 1 <= len(input_size or ()) <= IMAGE_RANK:
        raise ModelError("the model has no input shape", "give --input-size, or call the model once before saving it")
    shape = shape or (None, None, None, 3)
    while isinstance(shape, (list, dict)) and len(shape) == 1:  # one input in a list or dict
        shape = next(iter(shape.values() if isinstance(shape, dict) else shape))
    return tuple(shape) if isinstance(shape, list) else shape  # a list: of a subclassed model, read from JSON


def _require_size(sides: Sequence[int | None], input_size: Sequence[int]) -> None:
    """Raise UsageError if a model has other fixed sides than the requested ones, or another number of them."""
    if len(sides) != len(input_size):
        raise UsageError(f"--input-size: the model requires {len(sides)} numbers, got {'x'.join(map(str, input_size))}")
    if any(side not in (None, size) for side, size in zip(sides, input_size, strict=True)):
        required = "x".join("?" if side is None else str(side) for side in sides)
        raise UsageError(f"--input-size: the model requires {required}, got {'x'.join(map(str, input_size))}")


def _default_size(model: keras.Model, sides: Sequence[int | None], spec: ModelSpec | None) -> tuple[int, ...]:
    """Return the input size of a model of images whose size is variable."""
    if len(sides) != IMAGE_RANK:
        names, example = ("T", "1000") if len(sides) == 1 else ("DxHxW", "16x64x64")
        raise ModelError(
            f"the model has an input of variable size, {tuple(sides)}",
            f"give its size: --input-size {names}, for example {example}",
        )
    return _inner_size(model) or ((spec.input_size,) * 2 if spec else (DEFAULT_INPUT_SIZE,) * 2)


def _inner_size(model: keras.Model) -> tuple[int, int] | None:
    """Return (h, w) of the first model inside that has a fixed input size, or None."""
    for _, operation in iter_layers(model):
        shape = getattr(operation, "input_shape", None) if isinstance(operation, keras.Model) else None
        if isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:3]:
            return shape[1], shape[2]
    return None
