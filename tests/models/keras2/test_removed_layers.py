"""Layers that Keras 3 does not have: their values against NumPy, and maps of models with them.

`test_old_files.py` compares them with those of TensorFlow 2.12 and 2.15.
"""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import explain
from gradcam_cli.models.keras2.removed_layers import BatchNormalization, LocallyConnected2D

RNG = np.random.default_rng(0)


def filled(layer, x):
    layer(x)
    layer.set_weights([np.abs(RNG.normal(size=w.shape)) + 0.1 for w in layer.get_weights()])
    return layer


@pytest.mark.parametrize("strides", [(1, 1), (2, 1)])
def test_each_position_has_its_kernel(strides):
    x = RNG.normal(size=(2, 6, 5, 3)).astype(np.float32)
    layer = filled(LocallyConnected2D(4, (2, 3), strides), x)
    kernel, bias = layer.get_weights()
    rows, columns = bias.shape[:2]
    expected = np.empty((2, rows, columns, 4))
    for i, j in np.ndindex(rows, columns):
        patch = x[:, strides[0] * i : strides[0] * i + 2, strides[1] * j : strides[1] * j + 3].reshape(2, -1)
        expected[:, i, j] = patch @ kernel[i * columns + j] + bias[i, j]
    np.testing.assert_allclose(layer(x), expected, rtol=1e-4)
    assert layer.compute_output_shape(x.shape) == expected.shape


def test_equal_kernels_are_a_convolution():
    x = RNG.normal(size=(1, 6, 6, 2)).astype(np.float32)
    layer, convolution = filled(LocallyConnected2D(3, (3, 3), use_bias=False), x), L.Conv2D(3, 3, use_bias=False)
    convolution(x)
    shared = RNG.normal(size=(3, 3, 2, 3))
    convolution.set_weights([shared])
    layer.set_weights([np.tile(shared.reshape(1, 18, 3), (16, 1, 1))])
    np.testing.assert_allclose(layer(x), convolution(x), rtol=1e-4, atol=1e-5)


def test_normalization_over_two_axes():
    x = RNG.normal(size=(2, 4, 5, 3)).astype(np.float32)
    layer = filled(BatchNormalization([1, -1], epsilon=0.01), x)
    gamma, beta, mean, variance = layer.get_weights()
    assert gamma.shape == (1, 4, 1, 3)
    np.testing.assert_allclose(layer(x), gamma * (x - mean) / np.sqrt(variance + 0.01) + beta, rtol=1e-4, atol=1e-5)


def test_map_of_a_layer_with_local_kernels():
    """Its cells are places of the image; with a linear head, the map is A times the weights of the class."""
    keras.utils.set_random_seed(0)
    image = keras.Input((12, 12, 3))
    A = LocallyConnected2D(4, (3, 3), activation="relu", name="local")(image)
    model = keras.Model(image, L.Dense(2, name="out")(L.GlobalAveragePooling2D()(A)))
    pixels = RNG.integers(0, 256, (12, 12, 3), np.uint8)
    explanation = explain(pixels, model, "auto", target_class=1, preprocess="0..1")
    features = keras.Model(image, A)(pixels[None] / np.float32(255))[0].numpy()
    assert explanation.layer == "local"
    expected = features @ model.get_layer("out").kernel.numpy()[:, 1] / 100
    np.testing.assert_allclose(explanation.cam_pre_relu, expected, rtol=1e-4, atol=1e-7)
