"""Kinds of networks: how they compute features A from an image, logits from A, and outputs from logits.

Each part is a function that applies layers. The model is their composition; the reference calls the same layers, one
after the other, without the package under test.
"""

import keras
import tensorflow as tf
from keras import layers as L  # noqa: N812

SIZE = 24
CLASSES = 3


@keras.saving.register_keras_serializable("battery")
class Ops(L.Layer):
    """A layer that calls a function of TensorFlow, which Keras does not see."""

    def __init__(self, function, **options):
        super().__init__(**options)
        self.function = function

    def call(self, x):
        return self.function(x)


@keras.saving.register_keras_serializable("battery")
class ResidualUnit(L.Layer):
    """A residual unit as one layer: its output, not that of its last convolution, is the last place."""

    def __init__(self, channels=6, pool=False, **options):
        super().__init__(**options)
        self.first, self.second = L.Conv2D(channels, 3, padding="same"), L.Conv2D(channels, 3, padding="same")
        self.pool = L.MaxPooling2D() if pool else None

    def call(self, x):
        y = tf.nn.relu(x + self.second(tf.nn.relu(self.first(x))))
        return self.pool(y) if self.pool else y


@keras.saving.register_keras_serializable("battery")
class Tokens(L.Layer):
    """Adds learned positions, and optionally a class token before all others."""

    def __init__(self, class_token=False, **options):
        super().__init__(**options)
        self.class_token = class_token

    def build(self, shape):
        self.positions = self.add_weight(shape=(1, shape[1] + self.class_token, shape[2]), name="positions")
        if self.class_token:
            self.token = self.add_weight(shape=(1, 1, shape[2]), name="token")

    def call(self, x):
        if self.class_token:
            x = tf.concat([tf.repeat(self.token, tf.shape(x)[0], 0), x], 1)
        return x + self.positions


def chain(*layers):
    """A function that applies layers one after the other."""

    def apply(x):
        for layer in layers:
            x = layer(x)
        return x

    return apply


def conv(channels=6, **options):
    return L.Conv2D(channels, 3, **{"padding": "same", "activation": "relu", **options})


def residual(*layers):
    """X plus the result of layers."""
    inner = chain(*layers)
    add = L.Add()
    return lambda x: add([x, inner(x)])


def joined(*branches):
    concatenate = L.Concatenate()
    return lambda x: concatenate([branch(x) for branch in branches])


def scaled(*layers):
    """X times the result of layers: attention over channels or places."""
    inner, multiply = chain(*layers), L.Multiply()
    return lambda x: multiply([x, inner(x)])


def skip(down, up):
    """A U-Net: what goes down comes up again and is joined."""
    concatenate = L.Concatenate()
    return lambda x: concatenate([x, chain(*up)(chain(*down)(x))])


def block(width=12, heads=2):
    """A transformer block."""
    norm, attention = L.LayerNormalization(), L.MultiHeadAttention(heads, width // heads)
    add = L.Add()
    mlp = residual(L.LayerNormalization(), L.Dense(2 * width, activation="gelu"), L.Dense(width))

    def apply(x):
        y = norm(x)
        return mlp(add([x, attention(y, y)]))

    return apply


def windows(width=12, side=2, cells=6):
    """Attention within windows of cells, without a shift."""
    split = Ops(
        lambda x: tf.reshape(
            tf.transpose(tf.reshape(x, (-1, cells // side, side, cells // side, side, width)), (0, 1, 3, 2, 4, 5)),
            (-1, side * side, width),
        )
    )
    merge = Ops(
        lambda x: tf.reshape(
            tf.transpose(tf.reshape(x, (-1, cells // side, cells // side, side, side, width)), (0, 1, 3, 2, 4, 5)),
            (-1, cells, cells, width),
        )
    )
    attention, add = L.MultiHeadAttention(2, width // 2), L.Add()

    def apply(x):
        y = split(x)
        return add([x, merge(attention(y, y))])

    return apply


def shuffled_channels(groups=2):
    """The channel shuffle of ShuffleNet."""
    return Ops(
        lambda x: tf.reshape(
            tf.transpose(tf.reshape(x, (-1, *x.shape[1:3], groups, x.shape[3] // groups)), (0, 1, 2, 4, 3)),
            (-1, *x.shape[1:]),
        )
    )


def with_coordinates(x):
    """CoordConv: two channels with the places' own coordinates."""
    rows, columns = tf.meshgrid(tf.linspace(-1.0, 1.0, x.shape[1]), tf.linspace(-1.0, 1.0, x.shape[2]), indexing="ij")
    coordinates = tf.stack([rows, columns], -1)[None]
    return tf.concat([x, tf.repeat(coordinates, tf.shape(x)[0], 0)], -1)


def nested(*layers, shape=(SIZE, SIZE, 3)):
    """A model inside the model."""
    x = keras.Input(shape)
    return keras.Model(x, chain(*layers)(x))


def twice(layer):
    """A layer that is called twice; the last call counts."""
    return lambda x: layer(layer(x))


PATCHES = lambda: (L.Conv2D(12, 4, 4), L.Reshape((36, 12)))  # noqa: E731

FEATURES = {
    "convolution": lambda: chain(conv()),
    "three convolutions": lambda: chain(conv(), L.MaxPooling2D(), conv(8), conv(5)),
    "valid convolutions": lambda: chain(conv(padding="valid"), conv(padding="valid", strides=2)),
    "batch normalization": lambda: chain(conv(activation=None), L.BatchNormalization(), L.ReLU()),
    "group and layer normalization": lambda: chain(conv(), L.GroupNormalization(3), L.LayerNormalization()),
    "separable": lambda: chain(L.SeparableConv2D(6, 3, padding="same"), L.Activation("silu")),
    "depthwise": lambda: chain(conv(), L.DepthwiseConv2D(3), L.PReLU()),
    "grouped and dilated": lambda: chain(conv(6), L.Conv2D(6, 3, groups=3), L.Conv2D(6, 3, dilation_rate=2)),
    "transposed convolution": lambda: chain(conv(strides=2), L.Conv2DTranspose(5, 3, strides=2, activation="relu")),
    "dense on cells": lambda: chain(conv(strides=4), L.Dense(7, activation="gelu")),
    "residual": lambda: chain(conv(), residual(conv(), conv(activation=None)), L.ReLU()),
    "residual unit as a layer": lambda: chain(conv(), ResidualUnit()),
    "bottleneck with projection": lambda: chain(
        conv(), joined(L.Conv2D(4, 1, 2), chain(L.ZeroPadding2D(1), L.Conv2D(4, 3, 2)))
    ),
    "inception": lambda: chain(joined(L.Conv2D(3, 1), conv(4), chain(L.MaxPooling2D(3, 1, "same"), L.Conv2D(2, 1)))),
    "dense blocks": lambda: chain(conv(4), *(joined(L.Identity(), conv(3)) for _ in range(2))),
    "squeeze and excitation": lambda: chain(
        conv(), scaled(L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(6, 1, activation="sigmoid"))
    ),
    "attention over places": lambda: chain(conv(), scaled(L.Conv2D(1, 7, padding="same", activation="sigmoid"))),
    "global context": lambda: chain(conv(), residual(L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(6, 1))),
    "U-Net": lambda: chain(conv(4), skip([L.MaxPooling2D(), conv(5)], [L.UpSampling2D(interpolation="bilinear")])),
    "channel shuffle": lambda: chain(conv(6), shuffled_channels(), conv(4)),
    "weights over all places": lambda: chain(
        conv(),
        scaled(L.Conv2D(1, 1), L.Reshape((-1,)), L.Softmax(), Ops(lambda a: tf.reshape(a, (-1, SIZE, SIZE, 1)))),
    ),
    "coordinates": lambda: chain(Ops(with_coordinates), conv()),
    "maxout": lambda: chain(conv(6), Ops(lambda x: tf.reduce_max(tf.reshape(x, (-1, *x.shape[1:3], 3, 2)), -1))),
    "space to depth": lambda: chain(Ops(lambda x: tf.nn.space_to_depth(x, 2)), L.Conv2D(6, 1)),
    "inverted bottleneck": lambda: chain(
        conv(4), residual(L.DepthwiseConv2D(7, padding="same"), L.LayerNormalization(), L.Dense(16), L.Dense(4))
    ),
    "random layers, idle at inference": lambda: chain(
        L.RandomFlip(), L.RandomRotation(0.2), conv(), L.SpatialDropout2D(0.5), L.GaussianNoise(1.0)
    ),
    "nested model": lambda: chain(nested(conv(), conv(5))),
    "twice nested model": lambda: chain(nested(L.Rescaling(2.0), nested(conv(), conv(5)))),
    "one layer called twice": lambda: chain(conv(5), twice(L.Conv2D(5, 3, padding="same"))),
    "operations on tensors": lambda: chain(conv(), Ops(lambda x: tf.nn.relu(x - 0.1) ** 2)),
    "resized inside": lambda: chain(L.Resizing(16, 16), conv(strides=2)),
    "cropped inside": lambda: chain(L.Cropping2D(((4, 0), (2, 6))), conv()),
    "padded inside": lambda: chain(L.ZeroPadding2D(5), conv()),
    "mirrored inside": lambda: chain(conv(), Ops(lambda x: x[:, :, ::-1])),
    "transposed inside": lambda: chain(conv(strides=(1, 2)), Ops(lambda x: tf.transpose(x, (0, 2, 1, 3)))),
    "tokens": lambda: chain(*PATCHES(), Tokens(), L.LayerNormalization()),
    "transformer": lambda: chain(*PATCHES(), Tokens(), block(), L.LayerNormalization()),
    "tokens back to cells": lambda: chain(*PATCHES(), Tokens(), block(), L.Reshape((6, 6, 12)), L.Conv2D(5, 1)),
    "attention in windows": lambda: chain(L.Conv2D(12, 4, 4), windows(), L.LayerNormalization()),
}
"""Functions from the image to A; the last layer is the one that `auto` must choose."""

POOLED_TOKENS = "tokens", "transformer"

HEADS = {
    "average": lambda: chain(L.GlobalAveragePooling2D(), L.Dense(CLASSES)),
    "maximum": lambda: chain(L.GlobalMaxPooling2D(), L.Dense(CLASSES)),
    "flat": lambda: chain(L.Flatten(), L.Dense(8, activation="relu"), L.Dropout(0.5), L.Dense(CLASSES)),
    "tokens": lambda: chain(L.GlobalAveragePooling1D(), L.Dense(CLASSES)),
    "temperature": lambda: chain(L.GlobalAveragePooling2D(), L.Dense(CLASSES), Ops(lambda y: y / 3.0)),
    "normalized": lambda: chain(L.GlobalAveragePooling2D(), L.Dense(CLASSES), L.BatchNormalization()),
    "spectral": lambda: chain(L.GlobalAveragePooling2D(), L.SpectralNormalization(L.Dense(CLASSES))),
    "reshaped": lambda: chain(L.GlobalAveragePooling2D(keepdims=True), L.Conv2D(CLASSES, 1), L.Reshape((CLASSES,))),
}

ENDS = {
    "logits": lambda: chain(L.Identity()),
    "softmax": lambda: chain(L.Softmax()),
    "tf.nn.softmax": lambda: chain(Ops(tf.nn.softmax)),
    "log softmax": lambda: chain(Ops(tf.nn.log_softmax)),
    "sigmoids": lambda: chain(L.Activation("sigmoid")),
    "float32 after half precision": lambda: chain(L.Activation("softmax", dtype="float32")),
    "in a list": lambda: lambda y: [L.Softmax()(y)],
    "in a dict": lambda: lambda y: {"scores": L.Softmax()(y)},
}
