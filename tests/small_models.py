"""Small Keras models with fixed weights."""

import keras
from keras import layers as L  # noqa: N812


def small_network(classes=3, activation="softmax", channels=3, size=12):
    """A convolutional classifier of a few weights, the same for the same arguments."""
    keras.utils.set_random_seed(7)
    return keras.Sequential(
        [
            keras.Input((size, size, channels)),
            L.Conv2D(4, 3, activation="relu", name="conv1"),
            L.Conv2D(5, 3, activation="relu", padding="same", name="conv2"),
            L.MaxPooling2D(name="pool"),
            L.Flatten(name="flat"),
            L.Dense(6, activation="relu", name="hidden"),
            L.Dense(classes, activation=activation, name="predictions"),
        ],
        name="small",
    )
