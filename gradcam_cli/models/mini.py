"""The built-in model for tests: a slim VGG19 for the ten CIFAR-10 classes, with VGG19's layer names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from gradcam_cli.models.built_in import initial_weights

BLOCKS = ((32, 2), (64, 2), (128, 4), (160, 4), (160, 4))
"""Channels and number of convolutions of each block; VGG19 has (64, 2) to (512, 4)."""

POOLED = (1, 2)
"""The blocks with max pooling; VGG19 pools after all five. The output of block5_conv4 is 8x8."""

SIDE = 32
"""Side of the input in pixels."""

Convolution = Callable[[keras.KerasTensor, int, str], keras.KerasTensor]


def convolution(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Add a 3x3 convolution with ReLU."""
    return layers.Conv2D(channels, 3, padding="same", activation="relu", name=name)(x)


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
        weights: an npz file of arrays named `layer/kernel` and `layer/bias`; None initializes at random.

    Raises:
        WeightsError: the file does not fit the model.
    """
    x = keras.Input((SIDE, SIDE, 3), name="image")
    with initial_weights(weights, "mini"):
        y = layers.Dense(10, activation="softmax", name="predictions")(features(x))
    return keras.Model(x, y, name="mini")
