"""Small networks of signals and volumes whose maps are compared with medicai, which runs elsewhere; Keras and NumPy."""

import keras
import numpy as np
from keras import layers as L  # noqa: N812

INPUTS = 2
CLASSES = 3


def signal_network() -> keras.Model:
    """Return a classifier of signals (24, 2); its flattened head gives each cell a gradient of its own."""
    x = keras.Input((24, 2))
    y = L.Conv1D(4, 5, activation="relu", name="first")(x)
    y = L.Conv1D(5, 3, strides=2, padding="same", activation="relu", name="last")(y)
    return _with_weights(keras.Model(x, L.Dense(CLASSES)(L.Flatten()(y))))


def volume_network() -> keras.Model:
    """Return a classifier of volumes (8, 10, 12, 2), with such a head."""
    x = keras.Input((8, 10, 12, 2))
    y = L.Conv3D(4, 3, activation="relu", name="first")(x)
    y = L.Conv3D(5, 3, strides=2, padding="same", activation="relu", name="last")(y)
    return _with_weights(keras.Model(x, L.Dense(CLASSES)(L.Flatten()(y))))


def segmentation_network() -> keras.Model:
    """Return a U-Net of volumes (4, 6, 8, 1) with a score for each voxel and class."""
    x = keras.Input((4, 6, 8, 1))
    down = L.Conv3D(3, 3, padding="same", activation="relu", name="first")(x)
    inner = L.Conv3D(6, 3, padding="same", activation="relu", name="inner")(L.MaxPooling3D(2)(down))
    up = L.concatenate([down, L.Conv3DTranspose(3, 2, strides=2)(inner)])
    y = L.Conv3D(4, 3, padding="same", activation="relu", name="last")(up)
    return _with_weights(keras.Model(x, L.Conv3D(CLASSES, 1)(y)))


NETWORKS = {"signal": signal_network, "volume": volume_network, "segmentation": segmentation_network}
"""Functions of the networks, by name."""
LAYERS = {"signal": ("first", "last"), "volume": ("first", "last"), "segmentation": ("inner", "last")}
"""The layers whose maps are compared."""


def inputs_of(model: keras.Model) -> np.ndarray:
    """Return the inputs of a network, float32."""
    return np.random.default_rng(7).normal(size=(INPUTS, *model.input_shape[1:])).round(2).astype(np.float32)


def _with_weights(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(2027)
    sizes = [(weight.shape, np.prod(weight.shape[:-1], initial=1) ** 0.5) for weight in model.weights]
    model.set_weights([(rng.normal(size=shape) / size).round(3) for shape, size in sizes])
    return model
