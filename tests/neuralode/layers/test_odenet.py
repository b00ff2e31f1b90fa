"""ODE-Net classifiers: layers against Keras and TensorFlow, published sizes, saved models, kinetic energy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli.errors import UsageError
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.loading import model_to_bytes
from gradcam_cli.neuralode.layers import odenet
from gradcam_cli.neuralode.layers.find_block import find_block
from gradcam_cli.neuralode.layers.ode_block import ODEBlock
from gradcam_cli.neuralode.layers.ode_func import ConcatConv2D, GroupNorm, ODEFunc
from gradcam_cli.neuralode.layers.odenet import build_odenet

DIGITS = tuple("0123456789")


def build_small(arch="odenet", **options):
    keras.utils.set_random_seed(0)
    return build_odenet((8, 8, 1), ("no", "yes"), arch, **options)


def feature_maps(*shape, seed=0):
    return tf.constant(np.random.default_rng(seed).normal(1, 2, shape).astype(np.float32))


@pytest.mark.parametrize("channels", [64, 16])
def test_group_norm_equals_that_of_keras(channels):
    """Values and gradients are equal, even with fewer channels than groups."""
    ours, theirs = GroupNorm(), keras.layers.GroupNormalization(min(32, channels), epsilon=1e-5)
    x, g = feature_maps(3, 5, 4, channels), feature_maps(3, 5, 4, channels, seed=1)
    ours(x), theirs(x)
    for layer in (ours, theirs):
        layer.gamma.assign(np.linspace(0.5, 2, channels))
        layer.beta.assign(np.linspace(-1, 1, channels))
    results = []
    for layer in (ours, theirs):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        results.append([y, *tape.gradient(y, [x, layer.gamma.value, layer.beta.value], g)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_group_norm_is_accurate_for_large_means():
    """For values near 10,000 with variance 1, the variance is not a difference of large squares."""
    x = feature_maps(2, 4, 4, 64) / 2 + 10_000
    y = GroupNorm()(x).numpy().reshape(2, 16, 32, 2)
    exact = x.numpy().astype(np.float64).reshape(2, 16, 32, 2)
    mean, variance = exact.mean(axis=(1, 3), keepdims=True), exact.var(axis=(1, 3), keepdims=True)
    np.testing.assert_allclose(y, (exact - mean) / np.sqrt(variance + 1e-5), atol=5e-3)


def test_group_norm_with_unequal_groups_raises():
    with pytest.raises(UsageError, match="equal groups, got 48"):
        GroupNorm()(feature_maps(1, 2, 2, 48))


def test_concat_conv_equals_a_convolution_with_a_time_channel():
    """The layer equals a convolution of t and x concatenated; t may differ between samples."""
    layer, x, t = ConcatConv2D(4), feature_maps(2, 5, 6, 3), tf.constant([0.25, -2.0])
    layer(t[0], x)
    layer.bias.assign([1, 2, 3, 4])
    concatenated = tf.concat([tf.broadcast_to(t[:, None, None, None], (2, 5, 6, 1)), x], axis=-1)
    kernel = tf.concat([layer.time_kernel, layer.kernel], axis=2)
    expected = tf.nn.conv2d(concatenated, kernel, 1, "SAME") + layer.bias
    np.testing.assert_allclose(layer(t[:, None, None, None], x), expected, atol=1e-5)
    np.testing.assert_allclose(layer(t[1], x)[1], expected[1], atol=1e-5)


@pytest.mark.parametrize(("arch", "weights"), [("odenet", 208_266), ("resnet", 576_778), ("stem-only", 132_874)])
def test_number_of_parameters_equals_the_published_one(arch, weights):
    """For MNIST; the function-evaluation counters are not trainable."""
    model = build_odenet((28, 28, 1), DIGITS, arch)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_variables) == weights


@pytest.mark.parametrize(("side", "num_strided", "size"), [(28, 2, 6), (32, 2, 7), (8, 0, 6), (56, 3, 6), (13, 0, 11)])
def test_stem_leaves_feature_maps_of_at_least_six(side, num_strided, size):
    model = build_odenet((side, side, 1), DIGITS)
    assert odenet.num_downsampling_layers(side) == num_strided
    assert find_block(model).output.shape == (None, size, size, 64)


def test_thin_stem_is_a_single_convolution():
    model = build_odenet((28, 28, 1), DIGITS, "odenet-thin")
    assert sum(isinstance(layer, keras.layers.Conv2D) for layer in model.layers) == 1
    assert find_block(model).output.shape == (None, 14, 14, 64)


def test_invalid_architecture_raises():
    with pytest.raises(UsageError, match="expected one of odenet, odenet-thin, resnet, stem-only, got vgg"):
        build_small("vgg")
    with pytest.raises(UsageError, match="4 strided convolutions"):
        build_small(downsampling_layers=4)


def test_pixels_are_scaled_to_one():
    model = build_small("stem-only")
    assert float(tf.reduce_max(model.get_layer("scale")(tf.constant([[[[255.0]]]])))) == 1


@pytest.mark.slow
def test_saved_model_restores_labels_options_and_logits(tmp_path):
    """`load_model` needs no other information than the file."""
    model, x = build_small(activation="tanh", rtol=1e-4, atol=1e-4), 255 * np.abs(feature_maps(3, 8, 8, 1)) / 9
    (tmp_path / "model.keras").write_bytes(model_to_bytes(model))
    restored = load_model(tmp_path / "model.keras")
    assert restored.labels.names == ("no", "yes")
    assert restored.preprocess_mode == "none"
    assert restored.input_shape == (8, 8, 1)
    block = find_block(restored.model)
    assert (block.f.activation, block.options["rtol"], block.per_sample_steps) == ("tanh", 1e-4, "inference")
    np.testing.assert_allclose(restored.model(x), model(x), atol=1e-6)


@pytest.mark.slow
def test_prediction_does_not_depend_on_the_batch():
    """The logits of a single image equal those in a batch with stiffer images."""
    model, x = (
        build_small(rtol=1e-2, atol=1e-2),
        feature_maps(4, 8, 8, 1) * tf.constant([1.0, 255, 30, 4])[:, None, None, None],
    )
    in_batch = model(x, training=False)
    for i in range(4):
        np.testing.assert_allclose(model(x[i : i + 1], training=False), in_batch[i : i + 1], atol=2e-5)


class Constant(keras.Layer):
    """f = (3, 1) for states of two channels."""

    def call(self, t, z):
        return tf.zeros_like(z) + tf.constant([3.0, 1.0])


def test_kinetic_energy_is_the_integral_of_f_squared():
    """For f = (3, 1) and t from 0 to 2, the integral of mean f^2 is 2 (9 + 1) / 2 = 10; the weight is 0.5."""
    block, z = ODEBlock(Constant(), t_span=(0, 2), kinetic_energy=0.5), tf.ones((4, 2))
    np.testing.assert_allclose(block(z, training=True)[0], [7, 3], rtol=1e-6)
    assert float(block.losses[0]) == pytest.approx(5, rel=1e-5)
    block(z, training=False)
    assert not block.losses


@pytest.mark.slow
def test_gradient_of_the_kinetic_energy_equals_finite_differences():
    """With respect to the last gamma of f."""
    block = ODEBlock(ODEFunc("tanh"), kinetic_energy=1.0, rtol=1e-6, atol=1e-6)
    z = feature_maps(2, 4, 4, 4) / 2
    block(z, training=True)
    gamma = block.f.norms[-1].gamma

    def loss():
        block(z, training=True)
        return block.losses[0]

    with tf.GradientTape() as tape:
        value = loss()
    gradient = tape.gradient(value, gamma.value).numpy()
    original, h = gamma.numpy(), 1e-2
    for k in range(4):
        ends = []
        for sign in (1, -1):
            gamma.assign(original + sign * h * np.eye(4)[k])
            ends.append(float(loss()))
        gamma.assign(original)
        assert gradient[k] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-2, abs=1e-3)
