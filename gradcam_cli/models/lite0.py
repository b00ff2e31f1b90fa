"""The built-in ImageNet classifier: EfficientNet-Lite0, with the layer names of Keras's EfficientNet.

EfficientNet-Lite0 is EfficientNet-B0 (Tan and Le 2019) without squeeze and excitation, and with ReLU6 in place of
swish. Here its batch normalization is folded into the convolutions, so each convolution has a bias and is followed
by its activation only.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import keras
from keras import layers

from gradcam_cli.models.built_in import initial_weights

SIDE = 224
"""Side of the input in pixels."""
STEM_CHANNELS, TOP_CHANNELS, NUM_CLASSES = 32, 1280, 1000


class Stage(NamedTuple):
    """A sequence of inverted residual blocks (MobileNetV2, Sandler et al. 2018).

    Attributes:
        kernel: side of the depthwise kernel.
        stride: stride of the first block; the others have 1.
        expansion: channels inside a block, per channel of its input.
        channels: channels of the output.
        num_blocks: number of blocks.
    """

    kernel: int
    stride: int
    expansion: int
    channels: int
    num_blocks: int


STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)


class Block(NamedTuple):
    """One inverted residual block.

    Attributes:
        name: `block1a` to `block7a`, the prefix of its layers.
        kernel: side of the depthwise kernel.
        stride: stride of the depthwise convolution.
        expansion: channels of the depthwise convolution, per channel of the input; with 1 there is no expansion.
        channels: channels of the output.
        residual: whether the input is added to the output.
    """

    name: str
    kernel: int
    stride: int
    expansion: int
    channels: int
    residual: bool


def blocks() -> list[Block]:
    """Return the sixteen blocks from input to output."""
    return [
        Block(
            f"block{number}{letter}",
            stage.kernel,
            stage.stride if letter == "a" else 1,
            stage.expansion,
            stage.channels,
            residual=letter != "a",
        )
        for number, stage in enumerate(STAGES, 1)
        for letter in "abcd"[: stage.num_blocks]
    ]


def build_lite0(weights: Path | None = None) -> keras.Model:
    """Build the model: input (n, 224, 224, 3), (pixels - 127) / 128; output probabilities (n, 1000).

    Args:
        weights: an npz file of arrays named `layer/kernel` and `layer/bias`; None initializes at random.

    Raises:
        WeightsError: the file does not fit the model.
    """
    image = keras.Input((SIDE, SIDE, 3), name="image")
    with initial_weights(weights, "lite0"):
        x = _convolution(image, STEM_CHANNELS, "stem_conv", kernel=3, stride=2)
        for block in blocks():
            x = _inverted_residual(x, block)
        x = _convolution(x, TOP_CHANNELS, "top_conv")
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        y = layers.Dense(NUM_CLASSES, activation="softmax", name="predictions")(x)
    return keras.Model(image, y, name="lite0")


def _inverted_residual(x: keras.KerasTensor, block: Block) -> keras.KerasTensor:
    """Add a block: 1x1 expansion, depthwise convolution, 1x1 projection without activation, and the sum with x."""
    y, channels = x, block.expansion * x.shape[-1]
    if block.expansion > 1:
        y = _convolution(y, channels, f"{block.name}_expand_conv")
    y = layers.DepthwiseConv2D(
        block.kernel, block.stride, padding="same", activation="relu6", name=f"{block.name}_dwconv"
    )(y)
    y = _convolution(y, block.channels, f"{block.name}_project_conv", activation=None)
    return layers.Add(name=f"{block.name}_add")([x, y]) if block.residual else y


def _convolution(
    x: keras.KerasTensor,
    channels: int,
    name: str,
    *,
    kernel: int = 1,
    stride: int = 1,
    activation: str | None = "relu6",
) -> keras.KerasTensor:
    return layers.Conv2D(channels, kernel, stride, padding="same", activation=activation, name=name)(x)
