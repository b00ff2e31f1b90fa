"""The built-in network: VGG19 made slim, for ten classes, with the same sixteen convolutions by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from gradcam_cli.errors import WeightsError

BLOCKS = ((32, 2), (64, 2), (128, 4), (160, 4), (160, 4))
"""Channels and number of the convolutions of each block; VGG19 has (64, 2) to (512, 4)."""

POOLED = (1, 2)
"""The blocks that end in a pooling. VGG19 pools after each; two poolings leave 8x8 at block5_conv4."""

SIDE = 32

Convolution = Callable[[keras.KerasTensor, int, str], keras.KerasTensor]


def convolution(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    """Add one 3x3 convolution with its ReLU, as VGG19 has them."""
    return layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer="zeros", name=name)(x)


def features(x: keras.KerasTensor, convolution: Convolution = convolution) -> keras.KerasTensor:
    """Add the five blocks, made of the given convolution, and the average over the plane."""
    for block, (width, depth) in enumerate(BLOCKS, 1):
        for number in range(1, depth + 1):
            x = convolution(x, width, f"block{block}_conv{number}")
        if block in POOLED:
            x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    return layers.GlobalAveragePooling2D(name="avg_pool", dtype="float32")(x)


def build_mini(weights: Path | None = None) -> keras.Model:
    """Build the network: images as x / 127.5 - 1, (n, 32, 32, 3), to probabilities (n, 10).

    Args:
        weights: an npz file of arrays named `layer/kernel` and `layer/bias`; None leaves zeros.

    Raises:
        WeightsError: the file does not hold this network's weights.
    """
    x = keras.Input((SIDE, SIDE, 3), name="image")
    y = layers.Dense(10, activation="softmax", kernel_initializer="zeros", name="predictions")(features(x))
    model = keras.Model(x, y, name="mini")
    if weights:
        read_weights(model, weights)
    return model


def read_weights(model: keras.Model, weights: Path) -> None:
    """Read an npz file of arrays named `layer/kernel` and `layer/bias` into a model.

    Raises:
        WeightsError: an array is missing or has another shape, or the file is none of these.
    """
    try:
        with np.load(weights, allow_pickle=False) as arrays:
            for layer in model.layers:
                if layer.weights:
                    layer.set_weights(
                        [arrays[f"{layer.name}/{part}"].astype(np.float32) for part in ("kernel", "bias")]
                    )
    except Exception as error:  # numpy, zipfile and Keras each have their own
        raise WeightsError(f"{weights} does not fit mini: {error}") from error
