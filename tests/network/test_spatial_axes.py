"""Signals (t, c) and volumes (d, h, w, c): the places of their layers, and the compiled gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import Ops

from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.layer_trace import trace_layers
from gradcam_cli.network.locality import measure_locality

T, C = 60, 2
D, H, W = 12, 16, 20
SIGNAL, VOLUME = (T, C), (D, H, W, C)


def output_of(*layers, shape):
    """The output of the last of these layers, in a model of signals or of volumes."""
    x = keras.Input(shape)
    y = x
    for layer in layers:
        y = layer(y)
    model = keras.Model(x, L.Dense(2)(L.Flatten()(y)))
    return model, next(out for out in trace_layers(model, shape)[::-1] if out.operation is layers[-1])


def conv1(**options):
    return L.Conv1D(4, 3, **{"padding": "same", **options})


def conv3(**options):
    return L.Conv3D(4, 3, **{"padding": "same", **options})


# kind: (layers, cells, edges), worked out by hand
SIGNALS = {
    "convolution": ([conv1()], (60,), ((0, 60),)),
    "strides, no padding": ([conv1(strides=2, padding="valid")], (29,), ((0, 60),)),
    "dilation": ([conv1(dilation_rate=2)], (60,), ((0, 60),)),
    "causal": ([conv1(padding="causal")], (60,), ((-1, 60),)),  # a cell sees two values before its own
    "separable and depthwise": ([L.SeparableConv1D(4, 3), L.DepthwiseConv1D(3)], (56,), ((0, 60),)),
    "pooling": ([conv1(), L.MaxPooling1D(2), L.AveragePooling1D(3)], (10,), ((0, 60),)),
    "padding": ([L.ZeroPadding1D((10, 0))], (70,), ((-10, 60),)),
    "cropping": ([L.Cropping1D((8, 4)), conv1()], (48,), ((8, 56),)),
    "upsampling": ([conv1(strides=3), L.UpSampling1D(2)], (40,), ((0, 60),)),
    "transposed convolution": ([L.Conv1DTranspose(4, 3, strides=2, padding="same")], (120,), ((0, 60),)),
    "normalizations": ([conv1(), L.BatchNormalization(), L.LayerNormalization(), L.ReLU()], (60,), ((0, 60),)),
    "squeeze and excitation": ([Ops(lambda x: x * tf.reduce_mean(x, 1, keepdims=True))], (60,), ((0, 60),)),
    "reversed": ([Ops(lambda x: x[:, ::-1])], (60,), ((0, 60),)),
}
VOLUMES = {
    "convolution": ([conv3()], (12, 16, 20), ((0, 12), (0, 16), (0, 20))),
    "strides, no padding": ([conv3(strides=(1, 2, 2), padding="valid")], (10, 7, 9), ((0, 12), (0, 16), (0, 20))),
    "pooling": ([L.MaxPooling3D((2, 2, 4)), L.AveragePooling3D((1, 2, 1))], (6, 4, 5), ((0, 12), (0, 16), (0, 20))),
    "padding": ([L.ZeroPadding3D(((2, 0), (0, 0), (0, 4)))], (14, 16, 24), ((-2, 12), (0, 16), (0, 24))),
    "cropping": ([L.Cropping3D(((1, 3), (0, 8), (0, 0)))], (8, 8, 20), ((1, 9), (0, 8), (0, 20))),
    "upsampling": ([conv3(strides=2), L.UpSampling3D((2, 1, 2))], (12, 8, 20), ((0, 12), (0, 16), (0, 20))),
    "transposed convolution": (
        [L.Conv3DTranspose(4, 2, strides=2, padding="same")],
        (24, 32, 40),
        ((0, 12), (0, 16), (0, 20)),
    ),
    "each slice": (
        [L.TimeDistributed(L.Conv2D(4, 3, strides=2, padding="same")), L.TimeDistributed(L.MaxPooling2D(2))],
        (12, 4, 5),
        ((0, 12), (0, 16), (0, 20)),
    ),
    "slices, then volumes": (
        [L.TimeDistributed(L.Conv2D(4, 3, padding="same")), conv3(strides=2)],
        (6, 8, 10),
        ((0, 12), (0, 16), (0, 20)),
    ),
    "tokens": ([conv3(strides=4), L.Reshape((3 * 4 * 5, 4)), L.LayerNormalization()], (3, 4, 5), None),
    "columns first": ([conv3(), Ops(lambda x: tf.transpose(x, (0, 3, 1, 2, 4)))], (12, 16, 20), None),
}


@pytest.mark.parametrize("kind", SIGNALS)
def test_places_of_signals(kind):
    """The cells of a layer cover the part of the signal that was worked out by hand."""
    layers, cells, edges = SIGNALS[kind]
    _, found = output_of(*layers, shape=SIGNAL)
    assert found.grid, found.reason
    assert (found.grid.cells, found.grid.proven) == (cells, True)
    np.testing.assert_allclose(found.grid.edges, edges, atol=1e-6)


@pytest.mark.parametrize("kind", VOLUMES)
def test_places_of_volumes(kind):
    """The cells of a layer cover the part of the volume that was worked out by hand."""
    layers, cells, edges = VOLUMES[kind]
    _, found = output_of(*layers, shape=VOLUME)
    assert found.grid, found.reason
    assert (found.grid.cells, found.grid.proven) == (cells, True)
    np.testing.assert_allclose(found.grid.edges, edges or ((0, D), (0, H), (0, W)), atol=1e-6)


def test_cells_of_permuted_volumes_are_put_in_order():
    """`extract` undoes any order of the axes and any flip, and `insert` puts the cells back."""
    x = np.random.default_rng(0).uniform(size=(2, *VOLUME)).astype(np.float32)
    for function in (
        lambda x: tf.transpose(x, (0, 2, 3, 1, 4)),
        lambda x: tf.reshape(tf.transpose(x, (0, 3, 1, 2, 4)), (-1, D * H * W, C)),
        lambda x: tf.transpose(x[:, ::-1, :, ::-1], (0, 1, 3, 2, 4)),
    ):
        _, found = output_of(Ops(function), shape=VOLUME)
        output = function(tf.constant(x))
        upright = found.grid.extract(output)
        np.testing.assert_array_equal(upright, x)
        np.testing.assert_array_equal(found.grid.insert(output, upright), output)


NOT_PROVEN = {
    "shuffled": Ops(lambda x: tf.gather(x, np.random.default_rng(0).permutation(T), axis=1)),
    "rolled": Ops(lambda x: tf.roll(x, 7, 1)),
    "sum with its reverse": Ops(lambda x: x + x[:, ::-1]),
    "slices stacked in another order": Ops(lambda x: tf.stack(tf.unstack(x, axis=1)[::-1][1:], axis=1)),
}


@pytest.mark.parametrize("kind", NOT_PROVEN)
def test_mixed_places_of_signals_are_not_proven(kind):
    _, found = output_of(NOT_PROVEN[kind], shape=SIGNAL)
    assert found.grid is None or not found.grid.proven


@pytest.mark.parametrize("shape", [SIGNAL, VOLUME])
def test_locality_is_measured_along_all_axes(shape):
    """Unknown cells in their order are places, and shuffled along one axis they are not."""
    conv = conv1() if shape == SIGNAL else conv3()
    last = len(shape) - 1
    shuffled = np.random.default_rng(3).permutation(shape[last - 1])
    for order, local in ((np.arange(shape[last - 1]), True), (shuffled, False)):
        model, found = output_of(conv, Ops(lambda x, order=order: tf.gather(x, order, axis=last)), shape=shape)
        assert not found.grid.proven
        x = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
        assert measure_locality(model, found, x).is_local is local


@pytest.mark.parametrize(("shape", "conv"), [(SIGNAL, conv1), (VOLUME, conv3)])
def test_gradient_of_a_linear_head_is_its_weights(shape, conv):
    """With average pooling and a dense layer, dy_c/dA is the weight of class c divided by the number of cells."""
    layer, dense = conv(activation="relu"), L.Dense(3)
    x = keras.Input(shape)
    pooling = L.GlobalAveragePooling1D() if shape == SIGNAL else L.GlobalAveragePooling3D()
    model = keras.Model(x, dense(pooling(layer(x))))
    inputs = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    outputs = [output for output in trace_layers(model, shape) if output.operation is layer]
    result = compile_gradient_function(model, outputs)(inputs, np.array([[0, 2]] * 2, np.int32))
    np.testing.assert_allclose(result.A[0], layer(inputs), rtol=1e-5, atol=1e-6)
    cells = np.prod(shape[:-1])
    for c, index in enumerate((0, 2)):
        expected = np.broadcast_to(dense.kernel.numpy()[:, index] / cells, result.A[0].shape)
        np.testing.assert_allclose(result.dA[0][c], expected, rtol=1e-5)
