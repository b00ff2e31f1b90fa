"""Every kind of f that an ODEBlock accepts, for states (n, 4). Run as a program, it loads saved models of them."""

import sys
import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.neuralode import ODEBlock

register = keras.saving.register_keras_serializable("test")
layers = keras.layers
X = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


@register
class WithBuild(keras.Layer):
    def build(self, t_shape, z_shape):
        self.dense = layers.Dense(z_shape[-1])
        self.dense.build(z_shape)

    def call(self, t, z):
        return (t + 1) * self.dense(z)


@register
class WithoutBuild(keras.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.hidden, self.out = layers.Dense(5, "tanh"), layers.Dense(4)

    def call(self, t, z):
        return self.out(self.hidden(z)) + t


@register
class Subclass(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = keras.Sequential([layers.Dense(5, "tanh"), layers.Dense(4)])

    def call(self, t, z):
        return self.net(z) + t


@register
class Autonomous(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.net = keras.Sequential([layers.Dense(5, "tanh"), layers.Dense(4)])

    def call(self, z):
        return self.net(z)


@register
class Attention(keras.Layer):
    """Attention between the four channels; its dropout layer has rate 0."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(1, 2)

    def call(self, t, z):
        x = z[:, :, None]
        return self.attention(x, x)[:, :, 0]


@register
def time_decay(t, z):
    return -t * z


@register
def decay(z):
    return -z


def functional(t_shape):
    t, z = keras.Input(t_shape), keras.Input((4,))
    return keras.Model([t, z], layers.Dense(4)(layers.Concatenate()([t, z])))


def functional_with_scalar_time():
    t, z = keras.Input(batch_shape=()), keras.Input((4,))
    return keras.Model([t, z], layers.Dense(4)(z) * t)


FUNCTIONS = {
    "layer with build": (WithBuild, 2),
    "layer without build": (WithoutBuild, 4),
    "model": (Subclass, 4),
    "autonomous model": (Autonomous, 4),
    "attention": (Attention, 8),
    "sequential": (lambda: keras.Sequential([layers.Dense(5, "tanh"), layers.Dense(4)]), 4),
    "functional": (lambda: functional((1,)), 2),
    "functional with scalar time": (functional_with_scalar_time, 2),
    "dense": (lambda: layers.Dense(4), 2),
    "function": (lambda: time_decay, 0),
    "autonomous function": (lambda: decay, 0),
}
"""For each kind: a function that creates f, and its number of variables."""


def build_model(name):
    return keras.Sequential([keras.Input((4,)), ODEBlock(FUNCTIONS[name][0](), name="ode")])


def random_model(name):
    """Return a model whose weights are random, so that each of them counts."""
    model, rng = build_model(name), np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


def load(path, name):
    if path.suffix == ".keras":
        return keras.models.load_model(path)
    model = build_model(name)
    model.load_weights(path)
    return model


if __name__ == "__main__":
    warnings.simplefilter("error")
    tf.get_logger().setLevel("ERROR")
    for file in sorted(Path(sys.argv[1]).iterdir()):
        loaded = load(file, file.name.split(".")[0])
        arrays = {f"w{i}": x.numpy() for i, x in enumerate(loaded.trainable_variables)}
        np.savez(Path(sys.argv[2]) / f"{file.name}.npz", output=loaded(X), **arrays)
