"""Convolutional classifiers with an ODEBlock (ODE-Nets), and their residual and stem-only baselines.

Source:
    Chen et al. 2018, Neural Ordinary Differential Equations, section 3: the ODE-Net and residual network of table 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from gradcam_cli.errors import UsageError
from gradcam_cli.network.keras_settings import default_settings
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.layers.ode_func import GroupNorm, ODEFunc

CHANNELS = 64
RESIDUAL_BLOCKS = 6
MIN_SPATIAL_SIZE = 6
"""Minimum height and width of the feature maps after the default downsampling."""
MIN_THIN_SIDE = 2
"""Minimum height and width of the images of odenet-thin, with its one strided convolution."""
ACTIVATIONS = ("softplus", "relu", "tanh", "silu")
"""Activations of f offered by the command line."""
DEFAULT_SOLVER_OPTIONS = {
    "rtol": 1e-3,
    "atol": 1e-3,
    "adjoint_rtol": 1e-2,
    "adjoint_atol": 1e-2,
    "per_sample_steps": "inference",
}
"""Default options of the ODEBlock. Gradients with a few percent of error suffice for training, and need a third of the
function evaluations if f is not smooth. At inference, the output of an image is independent of its batch.
"""
BLOCK_NAME = "ode"
"""Name of the ODEBlock layer in a classifier."""

layers = keras.layers


@keras.saving.register_keras_serializable("gradcam")
class LabeledDense(keras.layers.Dense):  # type: ignore[misc]
    """The last layer: a dense layer that returns the logits y, and stores the class labels in the saved model.

    Args:
        labels: a label for each class.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "units": len(labels)})
        self.labels = tuple(labels)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor arguments."""
        return {**super().get_config(), "labels": list(self.labels)}


def num_downsampling_layers(side: int) -> int:
    """Return the maximum number of strided convolutions that leave feature maps of at least 6x6.

    Args:
        side: the smaller side of the input, in pixels; a valid 3x3 convolution comes first.
    """
    side, count = side - 2, 0
    while side // 2 >= MIN_SPATIAL_SIZE:
        side, count = side // 2, count + 1
    return count


@default_settings()
def build_odenet(
    input_shape: tuple[int, int, int],
    labels: Sequence[str],
    arch: str = "odenet",
    *,
    downsampling_layers: int | None = None,
    activation: str = "softplus",
    **options: Any,
) -> keras.Model:
    """Build an untrained classifier from pixels, (n, h, w, c) in 0 to 255, to logits, (n, classes).

    Args:
        input_shape: (h, w, c).
        labels: the class labels.
        arch: a name in `ARCHITECTURES`.
        downsampling_layers: number of strided 4x4 convolutions after the first convolution. None: the maximum that
            leaves feature maps of at least 6x6.
        activation: activation of f, a name in `ACTIVATIONS`.
        **options: keyword arguments of `ODEBlock`.

    Raises:
        UsageError: the architecture does not exist, or the images are too small for it.
    """
    if arch not in ARCHITECTURES:
        raise UsageError(f"arch: expected one of {', '.join(ARCHITECTURES)}, got {arch}")
    side = min(input_shape[:2])
    count = num_downsampling_layers(side) if downsampling_layers is None else downsampling_layers
    image = layers.Input(input_shape, name="image")
    x = layers.Rescaling(1 / 255, name="scale")(image)
    if arch == "odenet-thin":
        if side < MIN_THIN_SIDE:
            raise UsageError(f"arch: images of {side} pixels are too small for odenet-thin")
        x = _downsampling_conv(x, "stem_conv")
    else:
        if (side - 2) >> count < 1:
            raise UsageError(
                f"downsampling_layers: images of {side} pixels are too small for {count} strided convolutions"
            )
        x = _downsampling_stem(x, count)
    x = ARCHITECTURES[arch](x, activation, options)
    x = layers.ReLU(name="head_relu")(GroupNorm(name="head_norm")(x))
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return keras.Model(image, LabeledDense(labels, name="scores")(x), name=arch.replace("-", "_"))


def _downsampling_stem(x: Any, downsampling_layers: int) -> Any:
    """Apply a valid 3x3 convolution to 64 channels, then strided 4x4 convolutions, each after norm and ReLU."""
    x = layers.Conv2D(CHANNELS, 3, name="stem_conv0")(x)
    for i in range(downsampling_layers):
        x = layers.ReLU(name=f"stem_relu{i}")(GroupNorm(name=f"stem_norm{i}")(x))
        x = _downsampling_conv(x, f"stem_conv{i + 1}")
    return x


def _downsampling_conv(x: Any, name: str) -> Any:
    """Halve the spatial dimensions, rounded down. The padding is 1 on every side, unlike Keras's `same`."""
    return layers.Conv2D(CHANNELS, 4, 2, name=name)(layers.ZeroPadding2D(1, name=f"{name}_pad")(x))


def _ode(x: Any, activation: str, options: dict[str, Any]) -> Any:
    return ODEBlock(ODEFunc(activation, name="f"), name=BLOCK_NAME, **{**DEFAULT_SOLVER_OPTIONS, **options})(x)


def _residual_blocks(x: Any, activation: str, options: dict[str, Any]) -> Any:
    for i in range(RESIDUAL_BLOCKS):
        y = x
        for j in range(2):
            name = f"block{i + 1}_{{}}{j + 1}".format
            y = layers.ReLU(name=name("relu"))(GroupNorm(name=name("norm"))(y))
            y = layers.Conv2D(CHANNELS, 3, padding="same", use_bias=False, name=name("conv"))(y)
        x = layers.Add(name=f"block{i + 1}")([x, y])
    return x


def _identity(x: Any, activation: str, options: dict[str, Any]) -> Any:
    return x


ARCHITECTURES: dict[str, Callable[[Any, str, dict[str, Any]], Any]] = {
    "odenet": _ode,
    "odenet-thin": _ode,
    "resnet": _residual_blocks,
    "stem-only": _identity,
}
"""The layers between stem and head of each architecture, by name."""
