"""The classifiers: their parts against other programs, their sizes against the published ones, their files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.loading import encode_model
from gradcam_cli.neuralode.layers import odenet
from gradcam_cli.neuralode.layers.ode_block import ODEBlock, find_block
from gradcam_cli.neuralode.layers.ode_func import ConcatConv2D, GroupNorm, ODEFunc
from gradcam_cli.neuralode.layers.odenet import build_odenet

DIGITS = tuple("0123456789")


def small(arch="odenet", **options):
    keras.utils.set_random_seed(0)
    return build_odenet((8, 8, 1), ("no", "yes"), arch, **options)


def planes(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(1, 2, shape).astype(np.float32))


@pytest.mark.parametrize("channels", [64, 16])
def test_group_norm_is_that_of_keras(channels):
    """Values and gradients agree, also with fewer channels than groups."""
    ours, theirs = GroupNorm(), keras.layers.GroupNormalization(min(32, channels), epsilon=1e-5)
    x, g = planes(3, 5, 4, channels), planes(3, 5, 4, channels, seed=1)
    ours(x), theirs(x)
    for layer in (ours, theirs):
        layer.gamma.assign(np.linspace(0.5, 2, channels))
        layer.beta.assign(np.linspace(-1, 1, channels))
    found = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        found.append([y, *tape.gradient(y, [x, layer.gamma.value, layer.beta.value], g)])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_group_norm_of_large_means():
    """Of values near 10,000 the spread of 1 remains: the variance is not a difference of large squares."""
    x = planes(2, 4, 4, 64) / 2 + 10_000
    y = GroupNorm()(x).numpy().reshape(2, 16, 32, 2)
    exact = x.numpy().astype(np.float64).reshape(2, 16, 32, 2)
    mean, variance = exact.mean(axis=(1, 3), keepdims=True), exact.var(axis=(1, 3), keepdims=True)
    np.testing.assert_allclose(y, (exact - mean) / np.sqrt(variance + 1e-5), atol=5e-3)


def test_group_norm_refuses_unequal_groups():
    with pytest.raises(UsageError, match="equal groups, got 48"):
        GroupNorm()(planes(1, 2, 2, 48))


def test_time_is_one_more_channel():
    """The convolution equals that of x with a plane of t before its channels; t may differ between samples."""
    layer, x, t = ConcatConv2D(4), planes(2, 5, 6, 3), tf.constant([0.25, -2.0])
    layer(t[0], x)
    layer.bias.assign([1, 2, 3, 4])
    joined = tf.concat([tf.broadcast_to(t[:, None, None, None], (2, 5, 6, 1)), x], axis=-1)
    kernel = tf.concat([layer.time_kernel, layer.kernel], axis=2)
    expected = tf.nn.conv2d(joined, kernel, 1, "SAME") + layer.bias
    np.testing.assert_allclose(layer(t[:, None, None, None], x), expected, atol=1e-5)
    np.testing.assert_allclose(layer(t[1], x)[1], expected[1], atol=1e-5)


@pytest.mark.parametrize(("arch", "weights"), [("odenet", 208_266), ("resnet", 576_778), ("stem-only", 132_874)])
def test_sizes_are_the_published_ones(arch, weights):
    """For MNIST; the counters of evaluations are not learned."""
    model = build_odenet((28, 28, 1), DIGITS, arch)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_variables) == weights


@pytest.mark.parametrize(("side", "strided", "plane"), [(28, 2, 6), (32, 2, 7), (8, 0, 6), (56, 3, 6), (13, 0, 11)])
def test_stem_leaves_a_plane_of_six(side, strided, plane):
    model = build_odenet((side, side, 1), DIGITS)
    assert odenet.num_downsampling_layers(side) == strided
    assert find_block(model).output.shape == (None, plane, plane, 64)


def test_thin_stem_is_one_convolution():
    model = build_odenet((28, 28, 1), DIGITS, "odenet-thin")
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 1
    assert find_block(model).output.shape == (None, 14, 14, 64)


def test_errors_of_the_architecture():
    with pytest.raises(UsageError, match="expected one of odenet, odenet-thin, resnet, stem-only, got vgg"):
        small("vgg")
    with pytest.raises(UsageError, match="4 strided convolutions"):
        small(downsampling_layers=4)


def test_pixels_are_scaled_once():
    """The model's input are pixels; what follows sees 0 to 1."""
    model = small("stem-only")
    assert float(tf.reduce_max(model.get_layer("scale")(tf.constant([[[[255.0]]]])))) == 1


@pytest.mark.slow
def test_saved_model_knows_all(tmp_path):
    """The file opens by itself, with labels and scaling, and answers as before."""
    model, x = small(activation="tanh", rtol=1e-4, atol=1e-4), 255 * np.abs(planes(3, 8, 8, 1)) / 9
    (tmp_path / "model.keras").write_bytes(encode_model(model))
    opened = load_model(tmp_path / "model.keras")
    assert opened.labels.names == ("no", "yes")
    assert opened.preprocessing == "none"
    assert opened.input_shape == (8, 8, 1)
    block = find_block(opened.model)
    assert (block.f.activation, block.options["rtol"], block.per_sample_steps) == ("tanh", 1e-4, "inference")
    np.testing.assert_allclose(opened.model(x), model(x), atol=1e-6)


@pytest.mark.slow
def test_prediction_does_not_depend_on_neighbours():
    """An image alone, and beside one that is hard to solve."""
    model, x = small(rtol=1e-2, atol=1e-2), planes(4, 8, 8, 1) * tf.constant([1.0, 255, 30, 4])[:, None, None, None]
    together = model(x, training=False)
    for i in range(4):
        np.testing.assert_allclose(model(x[i : i + 1], training=False), together[i : i + 1], atol=2e-5)


class Constant(keras.Layer):
    """f = 3 in the first of two channels, 1 in the other."""

    def call(self, t, z):
        return tf.zeros_like(z) + tf.constant([3.0, 1.0])


def test_kinetic_loss_is_the_integral_of_f_squared():
    """Of f = (3, 1) over t from 0 to 2: the mean of 9 and 1 is 5, its integral 10, its weight 0.5."""
    block, z = ODEBlock(Constant(), t_span=(0, 2), kinetic_energy=0.5), tf.ones((4, 2))
    np.testing.assert_allclose(block(z, training=True)[0], [7, 3], rtol=1e-6)
    assert float(block.losses[0]) == pytest.approx(5, rel=1e-5)
    block(z, training=False)
    assert not block.losses


@pytest.mark.slow
def test_kinetic_loss_reaches_the_weights_of_f():
    """Its gradient by f's parameters equals finite differences."""
    block = ODEBlock(ODEFunc("tanh"), kinetic_energy=1.0, rtol=1e-6, atol=1e-6)
    z = planes(2, 4, 4, 4) / 2
    block(z, training=True)
    gamma = block.f.norms[-1].gamma

    def loss():
        block(z, training=True)
        return block.losses[0]

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, gamma.value).numpy()
    own, h = gamma.numpy(), 1e-2
    for k in range(4):
        ends = []
        for sign in (1, -1):
            gamma.assign(own + sign * h * np.eye(4)[k])
            ends.append(float(loss()))
        gamma.assign(own)
        assert gradient[k] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-2, abs=1e-3)
