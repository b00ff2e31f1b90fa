"""Full gradients of whole networks: the parts sum to the score, and networks whose biases are not known are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import Ops

from gradcam_cli import explain
from gradcam_cli.errors import ModelError
from gradcam_cli.network import biases
from gradcam_cli.network.full_gradients import FullGradientFunction

X = np.random.default_rng(2).uniform(-1, 1, (16, 16, 3)).astype(np.float32)
IMAGE = np.random.default_rng(2).integers(0, 256, (16, 16, 3), np.uint8)


def randomized(model):
    """Give all weights random values; variances and scales are positive."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        positive = "variance" in weight.path or "gamma" in weight.path
        weight.assign(rng.uniform(0.3, 1.5, weight.shape) if positive else rng.normal(0, 0.5, weight.shape))
    return model


def residual(activation="relu"):
    """Batch normalization, a depthwise convolution, a sum of two branches, a concatenation and max pooling."""
    x = start = keras.Input((16, 16, 3))
    x = L.Activation(activation)(L.BatchNormalization()(L.Conv2D(4, 3, padding="same", use_bias=False)(x)))
    y = L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x))
    x = L.MaxPooling2D()(L.LeakyReLU()(L.Add()([x, y])))
    x = L.Concatenate()([x, L.Conv2D(2, 3, padding="same", activation=activation)(L.ZeroPadding2D(0)(x))])
    return randomized(keras.Model(start, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x))))


def parts_of(model, c=1):
    function = FullGradientFunction(lambda x: logits_of(model, x), X.shape, "float32")
    return function(X, c), float(logits_of(model, tf.constant(X[None]))[0, c])


def logits_of(model, x):
    """The values before the softmax of the last layer."""
    last = model.layers[-1]
    inner = keras.Model(model.inputs, last.input)(x)
    return tf.matmul(inner, last.kernel) + last.bias


ACTIVATIONS = ["relu", "relu6", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign"]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_parts_sum_to_the_score(activation):
    """To float precision; without the biases of one operation they do not."""
    found, y_c = parts_of(residual(activation))
    scale = sum(np.abs(part).sum() for part in found.parts)
    total = sum(part.sum(dtype=np.float64) for part in found.parts)
    assert abs(total - y_c) < 2e-6 * scale
    assert found.y_c == pytest.approx(y_c, rel=1e-5)
    for part in found.parts:
        assert abs(total - part.sum() - y_c) > 1e-4 * scale or abs(part.sum()) < 1e-3 * scale
    assert max(abs(part.sum()) for part in found.parts) > 1e-2 * scale


def test_parts_of_a_network_by_hand():
    """The score is 2 mean relu(3 x - 1) + 5 of x = 1, 2: the input has 2 * 3 * x / 2, the biases -2 / 2 each and 5."""
    conv, dense = L.Conv2D(1, 1, activation="relu"), L.Dense(1)
    x = keras.Input((1, 2, 1))
    model = keras.Model(x, dense(L.GlobalAveragePooling2D()(conv(x))))
    conv.set_weights([np.full((1, 1, 1, 1), 3.0), np.array([-1.0])])
    dense.set_weights([np.array([[2.0]]), np.array([5.0])])
    found = FullGradientFunction(model, (1, 2, 1), "float32")(np.array([[[1], [2]]], np.float32), 0)
    np.testing.assert_allclose(found.input[..., 0], [[3, 6]])
    np.testing.assert_allclose(found.biases[0].values[..., 0], [[-1, -1]])
    np.testing.assert_allclose(found.biases[1].values, [5])
    assert found.y_c == pytest.approx(12)


def test_parts_that_do_not_sum_to_the_score_are_refused(monkeypatch):
    """The bias of batch normalization without its mean, or no implicit bias of an activation."""
    monkeypatch.setattr(biases, "_constant_terms", lambda operation, varies: 2 * operation.inputs[varies.index(False)])
    with pytest.raises(ModelError, match="fullgrad: the parts of the score sum to"):
        parts_of(residual())
    monkeypatch.undo()
    monkeypatch.setattr(biases, "_ACTIVATIONS", frozenset())
    monkeypatch.setattr(biases, "_LINEAR_IN_FIRST", biases._LINEAR_IN_FIRST | {"Tanh"})
    with pytest.raises(ModelError, match="fullgrad: the parts of the score sum to"):
        parts_of(residual("tanh"))


def classifier_of(*layers):
    x = z = keras.Input((16, 16, 3))
    for layer in (L.Conv2D(4, 3, padding="same"), *layers, L.GlobalAveragePooling2D(), L.Dense(3)):
        z = layer(z)
    return keras.Model(x, z)


def with_constant(x):
    """One more channel, of ones."""
    return tf.concat([x, tf.ones((tf.shape(x)[0], 16, 16, 1))], 3)


PADDING = ((0, 0), (1, 1), (1, 1), (0, 0))
SHUFFLED = np.random.default_rng(1).permutation(16)
KNOWN = "fullgrad requires operations whose biases are known, got "
REFUSED = {
    "swish": ([L.Activation("swish")], KNOWN),
    "a product of two values": ([Ops(lambda x: x * tf.sigmoid(x))], f"{KNOWN}Mul"),
    "layer normalization": ([L.LayerNormalization()], KNOWN),
    "a constant among channels": ([Ops(with_constant)], f"{KNOWN}ConcatV2"),
    "padding with ones": ([Ops(lambda x: tf.pad(x, PADDING, constant_values=1))], f"{KNOWN}PadV2"),
    "another gradient": ([Ops(tf.custom_gradient(lambda x: (x * 1.0, lambda dy: 2 * dy)))], f"{KNOWN}IdentityN"),
    "unknown places": (
        [Ops(lambda x: tf.gather(x, SHUFFLED, axis=1)), L.Conv2D(2, 3)],
        "fullgrad requires biases at known places of the input, got ",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_of_unknown_biases_are_refused(name):
    layers, message = REFUSED[name]
    with pytest.raises(ModelError, match=message):
        FullGradientFunction(classifier_of(*layers), X.shape, "float32")


TARGETS = {
    "segment": (
        keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(4, 3), L.ReLU(), L.Conv2D(3, 1), L.Softmax()]),
        "top",
    ),
    "class": (keras.Sequential([keras.Input((16, 16, 3)), L.Conv2D(4, 3), L.Flatten(), L.Dense(1, "sigmoid")]), 0),
}


@pytest.mark.parametrize("target", TARGETS)
def test_other_scores_are_complete(target):
    """The score of a segment, whose mask is constant, and both classes of a single logit."""
    model, c = TARGETS[target]
    result = explain(IMAGE, randomized(model), preprocess="0..1", method="fullgrad", target=target, target_class=c)
    assert result.cam.shape == (16, 16)
    assert result.cam.any()


def test_the_probability_is_refused():
    with pytest.raises(ModelError, match=f"{KNOWN}Softmax"):
        explain(IMAGE, residual(), preprocess="0..1", method="fullgrad", score="probability")
