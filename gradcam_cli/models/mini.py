"""The built-in model: a slim VGG19 for the ten CIFAR-10 classes, with VGG19's layer names."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from gradcam_cli.errors import WeightsError

BLOCKS = ((32, 2), (64, 2), (128, 4), (160, 4), (160, 4))
"""Channels and number of convolutions of each block; VGG19 has (64, 2) to (512, 4)."""

POOLED = (1, 2)
"""The blocks with max pooling; VGG19 pools after all five. The output of block5_conv4 is 8x8."""

SIDE = 32
"""Side of the input in pixels."""

MAX_WEIGHT_BYTES = 1 << 26
"""Limit of the decompressed size of a weight file; float32 weights have 9.5 MB."""

Convolution = Callable[[keras.KerasTensor, int, str], keras.KerasTensor]


def convolution(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Add a 3x3 convolution with ReLU."""
    return layers.Conv2D(channels, 3, padding="same", activation="relu", kernel_initializer="zeros", name=name)(x)


def features(x: keras.KerasTensor, convolution: Convolution = convolution) -> keras.KerasTensor:
    """Add the five blocks and the global average pooling.

    Args:
        x: (n, 32, 32, 3).
        convolution: adds one convolution, given (x, channels, name).

    Returns:
        (n, 160) float32.
    """
    for block, (channels, depth) in enumerate(BLOCKS, 1):
        for number in range(1, depth + 1):
            x = convolution(x, channels, f"block{block}_conv{number}")
        if block in POOLED:
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return layers.GlobalAveragePooling2D(name="avg_pool", dtype="float32")(x)


def build_mini(weights: Path | None = None) -> keras.Model:
    """Build the model: input (n, 32, 32, 3) in -1..1, output probabilities (n, 10).

    Args:
        weights: an npz file of arrays named `layer/kernel` and `layer/bias`; None initializes with zeros.

    Raises:
        WeightsError: the file does not fit the model.
    """
    x = keras.Input((SIDE, SIDE, 3), name="image")
    y = layers.Dense(10, activation="softmax", kernel_initializer="zeros", name="predictions")(features(x))
    model = keras.Model(x, y, name="mini")
    if weights:
        read_weights(model, weights)
    return model


def read_weights(model: keras.Model, weights: Path) -> None:
    """Load an npz file of arrays named `layer/kernel` and `layer/bias` into a model.

    Raises:
        WeightsError: an array is missing or has a wrong shape, or the file is not an npz file, or is too large.
    """
    try:
        with zipfile.ZipFile(weights) as archive:
            num_bytes = sum(member.file_size for member in archive.infolist())
        if num_bytes > MAX_WEIGHT_BYTES:
            raise ValueError(f"expected at most {MAX_WEIGHT_BYTES:,} bytes, got {num_bytes:,}")
        with np.load(weights, allow_pickle=False) as arrays:
            for layer in model.layers:
                if layer.weights:
                    layer.set_weights(
                        [arrays[f"{layer.name}/{part}"].astype(np.float32) for part in ("kernel", "bias")]
                    )
    except Exception as error:  # numpy, zipfile and Keras raise different types
        raise WeightsError(f"{weights} does not fit mini: {error}") from error
