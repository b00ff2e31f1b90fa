"""The default batch size, from the model's activations and the free memory."""

from __future__ import annotations

import math

import keras
import psutil

from gradcam_cli.network.layers import iter_layers

MAX_BATCH_SIZE, DEFAULT_BATCH_SIZE = 64, 8
TARGET_ACTIVATION_BYTES = 2**30
"""Bytes of convolution outputs per batch; larger batches are hardly faster. VGG19 at 224x224 reaches them with 16."""


def default_batch_size(model: keras.Model, input_shape: tuple[int, ...]) -> int:
    """Return the largest power of two, up to 64, whose convolution outputs fit the memory target.

    The target is 1 GiB, or an eighth of the free memory if that is less. A model without known
    layer outputs (a subclassed model) gets 8.

    Args:
        model: any Keras model.
        input_shape: (h, w, c), or with another number of spatial axes.
    """
    bytes_per_image = 4 * sum(
        _num_activations(layer, input_shape) for _, layer in iter_layers(model) if "Conv" in type(layer).__name__
    )
    if not bytes_per_image:
        return DEFAULT_BATCH_SIZE
    fitting = int(min(TARGET_ACTIVATION_BYTES, psutil.virtual_memory().available / 8) / bytes_per_image)
    return min(MAX_BATCH_SIZE, 1 << max(fitting.bit_length() - 1, 0))


def _num_activations(layer: keras.Layer, input_shape: tuple[int, ...]) -> int:
    """Return the number of elements of a layer's output for one image; None dimensions are those of the input."""
    try:
        shape = layer.output.shape[1:]
    except (AttributeError, ValueError):  # never called, or called more than once
        return 0
    return math.prod(size or side for size, side in zip(shape, (*input_shape[:-1], 1), strict=False))
