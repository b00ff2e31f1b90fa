"""Networks and requests for which no right map exists: one clear error, never a map."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import CLASSES, SIZE, Ops, Tokens, block, chain, conv

from gradcam_cli import explain
from gradcam_cli.errors import GradcamError

IMAGE = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)


def model(*layers, shape=(SIZE, SIZE, 3), end="softmax"):
    keras.utils.set_random_seed(1)
    x = keras.Input(shape)
    y = chain(*layers)(x)
    return keras.Model(x, L.Dense(CLASSES, activation=end)(y) if end else y)


def two_outputs():
    x = keras.Input((SIZE, SIZE, 3))
    y = L.GlobalAveragePooling2D()(conv()(x))
    return keras.Model(x, [L.Dense(2)(y), L.Dense(2)(y)])


def two_inputs():
    x, z = keras.Input((SIZE, SIZE, 3)), keras.Input((4,))
    return keras.Model([x, z], L.Dense(2)(L.Concatenate()([L.GlobalAveragePooling2D()(conv()(x)), z])))


GAP, GAP1 = L.GlobalAveragePooling2D, L.GlobalAveragePooling1D
PATCHES = lambda: (L.Conv2D(12, 4, 4, name="patches"), L.Reshape((36, 12)))  # noqa: E731

KINDS = {
    "perceptron": (lambda: model(L.Rescaling(0.1), L.Flatten(), L.Dense(8)), {}, "no layer whose output is a grid"),
    "one cell only": (lambda: model(L.Conv2D(4, SIZE), L.Flatten()), {}, "no layer whose output is a grid"),
    "averaged softmax": (
        lambda: model(conv(CLASSES, activation="softmax"), GAP(), end=None),
        {},
        "logit before the output activation is not accessible",
    ),
    "relu output": (lambda: model(conv(), GAP(), end="relu"), {}, "not accessible"),
    "exponential output": (lambda: model(conv(), GAP(), end="exponential"), {}, "not accessible"),
    "tanh as a probability": (
        lambda: model(conv(), GAP(), end="tanh"),
        {"score": "probability"},
        "expected probabilities",
    ),
    "softmax over one unit": (
        lambda: model(conv(), GAP(), L.Dense(1, activation="softmax"), end=None),
        {},
        "always 1",
    ),
    "two outputs": (two_outputs, {}, "one output"),
    "two inputs": (two_inputs, {}, "the model has 2 inputs"),
    "segmentation": (lambda: model(conv(), end=None), {}, "one output"),
    "five channels": (
        lambda: model(conv(), GAP(), shape=(SIZE, SIZE, 5)),
        {},
        r"expected an array \(H, W, 5\)",
    ),
    "queries of an attention": (
        lambda: model(*PATCHES(), Tokens(), block(), GAP1()),
        {"layer": "query"},
        "expected rows and columns",
    ),
    "shuffled cells": (
        lambda: model(
            *PATCHES(), Ops(lambda x: tf.gather(x, np.random.default_rng(0).permutation(36), axis=1), name="s"), GAP1()
        ),
        {"layer": "s"},
        "expected rows and columns|not places",
    ),
    "cells turned by half an image": (
        lambda: model(conv(strides=4), Ops(lambda x: tf.roll(x, 3, 1), name="rolled"), GAP()),
        {"layer": "rolled"},
        "not places of the input",
    ),
    "rows mixed by a matrix": (
        lambda: model(
            conv(), Ops(lambda x: tf.einsum("nyxk,yz->nzxk", x, tf.ones((SIZE, SIZE)) / SIZE), name="mixed"), GAP()
        ),
        {"layer": "mixed"},
        "not places|expected rows",
    ),
    "windows as the batch": (
        lambda: model(
            conv(4),
            Ops(lambda x: tf.reshape(x, (-1, 12, SIZE, 4)), name="windows"),
            Ops(lambda x: tf.reshape(x, (-1, SIZE, SIZE, 4))),
            GAP(),
        ),
        {"layer": "windows"},
        "expected rows and columns",
    ),
    "layer beside the score": (
        lambda: two_heads_of_which_one_is_used(),
        {"layer": "unused"},
        "does not depend on layer",
    ),
    "unknown layer": (lambda: model(conv(name="conv"), GAP()), {"layer": "conw"}, "no layer 'conw'"),
    "layer without places": (
        lambda: model(conv(), GAP(), L.Dense(4, name="flat")),
        {"layer": "flat"},
        "rows and columns",
    ),
    "call that does not exist": (
        lambda: model(conv(name="conv"), GAP()),
        {"layer": "conv:3"},
        "rows and columns|no layer",
    ),
    "class that does not exist": (lambda: model(conv(), GAP()), {"target_class": 9}, "index from 0 to 2"),
    "probability of a value": (
        lambda: model(conv(), GAP(), L.Dense(1), end=None),
        {"score": "probability"},
        "not a probability",
    ),
}


def two_heads_of_which_one_is_used():
    x = keras.Input((SIZE, SIZE, 3))
    y = conv()(x)
    heads = keras.Model(x, [L.Dense(2)(L.GlobalAveragePooling2D()(y)), L.Conv2D(2, 3, name="unused")(y)])
    return keras.Model(x, heads(x)[0])


@pytest.mark.parametrize("kind", KINDS)
def test_no_map_is_made(kind):
    make, options, words = KINDS[kind]
    with pytest.raises(GradcamError, match=words) as caught:
        explain(IMAGE, make(), preprocess="0..1", **options)
    assert "\x1b" not in caught.value.message
    assert "\n" not in caught.value.message
