"""Where the cells of a layer lie: the traced places of many kinds of layers, against rectangles worked out by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import Ops

from gradcam_cli.network.layer_trace import trace_layers

H, W = 40, 60
FULL = ((0, H), (0, W))


def grid(*layers, shape=(H, W, 3)):
    """The grid of the last of these layers, in a model of an image of 40x60 pixels."""
    x = keras.Input(shape)
    y = x
    for layer in layers:
        y = layer(y)
    features = y if len(y.shape) == 4 else L.Reshape((*y.shape[1:], 1))(y)
    model = keras.Model(x, L.Dense(2)(L.GlobalAveragePooling2D()(features)))
    return next(out for out in trace_layers(model, shape)[::-1] if out.operation is layers[-1]).grid


def conv(**options):
    return L.Conv2D(4, 3, **{"padding": "same", **options})


PROVEN = {
    "convolution": ([conv()], FULL),
    "strides, no padding": ([conv(strides=2, padding="valid")], FULL),
    "dilation": ([conv(dilation_rate=2)], FULL),
    "groups": ([L.Conv2D(6, 3, groups=3)], FULL),
    "depthwise and separable": ([L.DepthwiseConv2D(3), L.SeparableConv2D(4, 3)], FULL),
    "transposed convolution": ([L.Conv2DTranspose(4, 3, strides=2, padding="same")], FULL),
    "pooling": ([L.AveragePooling2D(2), L.MaxPooling2D(2)], FULL),
    "normalizations": ([conv(), L.BatchNormalization(), L.LayerNormalization(), L.GroupNormalization(2)], FULL),
    "activations": ([conv(activation="gelu"), L.PReLU(), L.Activation("silu"), L.Softmax()], FULL),
    "rescaling": ([L.Rescaling(1 / 255), L.Normalization(mean=0.5, variance=0.1)], FULL),
    "dense": ([L.Dense(4)], FULL),
    "padding that a convolution uses up": ([L.ZeroPadding2D(1), conv(padding="valid")], FULL),
    "padding": ([L.ZeroPadding2D(((10, 0), (0, 30)))], ((-10, H), (0, W + 30))),
    "cropping": ([L.Cropping2D(((8, 4), (10, 0))), conv()], ((8, 36), (10, W))),
    "center crop": ([L.CenterCrop(20, 20), conv(strides=2)], ((10, 30), (20, 40))),
    "resize, crop to aspect ratio": ([L.Resizing(16, 16, crop_to_aspect_ratio=True)], ((0, H), (10, 50))),
    "resize, pad to aspect ratio": ([L.Resizing(30, 30, pad_to_aspect_ratio=True)], ((-10, 50), (0, W))),
    "slice": ([Ops(lambda x: x[:, 4:-4, ::2])], ((4, 36), (0, W))),
    "tf.slice": ([Ops(lambda x: tf.slice(x, (0, 5, 0, 0), (-1, 10, -1, -1)))], ((5, 15), (0, W))),
    "channels reversed": ([Ops(lambda x: x[..., ::-1])], FULL),
    "channels split and stacked": ([Ops(lambda x: tf.stack(tf.unstack(x, axis=-1)[::-1], axis=-1))], FULL),
    "channels joined": ([Ops(lambda x: tf.concat([x, tf.square(x)], -1))], FULL),
    "squeeze and excitation": ([Ops(lambda x: x * tf.sigmoid(tf.reduce_mean(x, (1, 2), keepdims=True)))], FULL),
    "windows and back": (
        [
            Ops(
                lambda x: tf.reshape(
                    tf.transpose(
                        tf.reshape(
                            tf.transpose(tf.reshape(x, (-1, 8, 5, 12, 5, 3)), (0, 1, 3, 2, 4, 5)), (-1, 8, 12, 5, 5, 3)
                        ),
                        (0, 1, 3, 2, 4, 5),
                    ),
                    (-1, 40, 60, 3),
                )
            )
        ],
        FULL,
    ),
}


@pytest.mark.parametrize("kind", PROVEN)
def test_proven_places(kind):
    layers, (rows, columns) = PROVEN[kind]
    found = grid(*layers)
    assert found.proven
    assert found.edges[0] == pytest.approx(rows)
    assert found.edges[1] == pytest.approx(columns)
    assert (found.order, found.flipped, found.prefix) == ((0, 1), (), None)


def test_flip_and_transposition_are_undone():
    """`extract` returns upright cells, and `insert` puts them back."""
    x = np.random.default_rng(0).uniform(size=(2, H, W, 3)).astype(np.float32)
    for function in (lambda x: x[:, ::-1], lambda x: tf.transpose(x[:, :, ::-1], (0, 2, 1, 3)), lambda x: x[:, 9:3:-1]):
        found, output = grid(Ops(function)), function(tf.constant(x))
        upright = found.extract(output).numpy()
        (y0, y1), (x0, x1) = (tuple(map(round, interval)) for interval in (found.edges[0], found.edges[1]))
        np.testing.assert_array_equal(upright, x[:, y0:y1, x0:x1])
        np.testing.assert_array_equal(found.insert(output, tf.constant(upright)), output)


def test_tokens_are_a_grid():
    found = grid(L.Conv2D(5, 10, 10), L.Reshape((24, 5)), L.LayerNormalization())
    assert (found.cells, found.prefix, found.proven) == ((4, 6), 0, True)
    tokens = tf.random.stateless_uniform((2, 24, 5), (0, 0))
    np.testing.assert_array_equal(found.extract(tokens), tf.reshape(tokens, (2, 4, 6, 5)))


def test_class_token_is_not_a_place():
    add_token = Ops(lambda x: tf.concat([tf.ones((tf.shape(x)[0], 1, 5)), x], 1))
    found = grid(L.Conv2D(5, 10, 10), L.Reshape((24, 5)), add_token)
    assert (found.cells, found.prefix) == ((4, 6), 1)
    tokens = tf.random.stateless_uniform((2, 25, 5), (0, 0))
    np.testing.assert_array_equal(found.extract(tokens), tf.reshape(tokens[:, 1:], (2, 4, 6, 5)))
    np.testing.assert_array_equal(found.insert(tokens, found.extract(tokens)), tokens)
    assert grid(L.Conv2D(5, 10, 10), L.Reshape((24, 5)), add_token, Ops(lambda x: x[:, 1:])).prefix == 0


NO_GRID = {
    "heads of an attention": [L.Conv2D(8, 10, 10), L.Reshape((24, 2, 4))],
    "transposed tokens": [L.Conv2D(5, 10, 10), L.Reshape((24, 5)), L.Permute((2, 1))],
    "rows as channels": [Ops(lambda x: tf.transpose(x, (0, 2, 3, 1)))],
    "the batch in windows": [Ops(lambda x: tf.reshape(x, (-1, 20, 60, 3)))],
    "a mixture of all places": [Ops(lambda x: tf.einsum("nyxk,yz->nzxk", x, tf.ones((H, 7))))],
}


@pytest.mark.parametrize("kind", NO_GRID)
def test_other_axes_of_rank_4_are_no_grid(kind):
    assert grid(*NO_GRID[kind]) is None


@pytest.mark.parametrize(
    "function",
    [
        lambda x: tf.gather(x, np.random.default_rng(0).permutation(H), axis=1),
        lambda x: tf.roll(x, 7, 1),
        lambda x: tf.einsum("nyxk,yz->nzxk", x, tf.ones((H, H))) + x,
        lambda x: x + x[:, ::-1],
    ],
)
def test_places_of_unknown_or_mixed_cells_are_not_proven(function):
    found = grid(Ops(function))
    assert found is None or not found.proven
