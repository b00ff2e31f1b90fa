"""How many images go through a network in one pass."""

from __future__ import annotations

import math

import keras
import psutil

from gradcam_cli.network.layers import iter_layers

MAX_BATCH_SIZE, DEFAULT_BATCH_SIZE = 64, 8
TARGET_ACTIVATION_BYTES = 2**30
"""Bytes of activations in a pass beyond which an image gets hardly cheaper; VGG19 at 224x224 reaches them with 16."""


def default_batch_size(model: keras.Model, input_shape: tuple[int, int, int]) -> int:
    """Choose the images of a pass: a power of two, so many that the outputs of their convolutions fill what pays.

    That is a gigabyte, or an eighth of the memory that is free where this is less. A model
    whose graph Keras does not know gets 8.

    Args:
        model: any Keras model.
        input_shape: (h, w, c).
    """
    bytes_an_image = 4 * sum(
        _num_activations(layer, input_shape) for _, layer in iter_layers(model) if "Conv" in type(layer).__name__
    )
    if not bytes_an_image:
        return DEFAULT_BATCH_SIZE
    fitting = int(min(TARGET_ACTIVATION_BYTES, psutil.virtual_memory().available / 8) / bytes_an_image)
    return min(MAX_BATCH_SIZE, 1 << max(fitting.bit_length() - 1, 0))


def _num_activations(layer: keras.Layer, input_shape: tuple[int, int, int]) -> int:
    """Count the numbers of a layer's output for one image; sides that are left open are those of the input."""
    try:
        shape = layer.output.shape[1:]
    except (AttributeError, ValueError):  # never called, or called several times
        return 0
    return math.prod(size or side for size, side in zip(shape, (*input_shape[:2], 1), strict=False))
