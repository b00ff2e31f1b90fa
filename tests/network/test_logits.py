"""Logits and probabilities for all kinds of output activations."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.errors import ModelError
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.logits import find_output_activation

X = np.random.default_rng(0).uniform(-1, 1, (1, 8, 8, 3)).astype(np.float32)


def ending(*layers):
    """A classifier with fixed features and the given output layers."""
    keras.utils.set_random_seed(4)
    x = keras.Input((8, 8, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(x))
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


def dense(**options):
    return L.Dense(3, kernel_initializer=keras.initializers.RandomNormal(seed=5), **options)


ENDS = {
    "dense softmax": lambda: [dense(activation="softmax")],
    "activation": lambda: [dense(), L.Activation("softmax")],
    "softmax layer": lambda: [dense(), L.Softmax()],
    "operation": lambda: [dense(), keras.ops.softmax],
    "function": lambda: [dense(), keras.activations.softmax],
    "float32 cast": lambda: [dense(), L.Activation("softmax", dtype="float32")],
    "linear after": lambda: [dense(activation="softmax"), L.Activation("linear"), L.Reshape((3,))],
    "dropout after": lambda: [dense(activation="softmax"), L.Dropout(0.5)],
    "linear": lambda: [dense()],
    "nested": lambda: [keras.Sequential([keras.Input((4,)), dense(activation="softmax")])],
}


@pytest.mark.parametrize("end", ENDS)
def test_logits_and_probabilities(end):
    """All endings give the same logits, and the probabilities equal the model's output."""
    model = ending(*ENDS[end]())
    result = compile_gradient_function(model, ["conv"])(X, np.zeros((1, 1), np.int32))
    reference = ending(dense())(X).numpy()
    np.testing.assert_allclose(result.logits, reference, rtol=1e-5)
    expected = keras.ops.softmax(reference) if end == "linear" else model(X)
    np.testing.assert_allclose(result.probabilities, expected, rtol=1e-5)


def test_multi_label_sigmoids_are_elementwise():
    """With one sigmoid per class, logits and probabilities are elementwise."""
    result = compile_gradient_function(ending(dense(activation="sigmoid")), ["conv"])(X, np.zeros((1, 1), np.int32))
    np.testing.assert_allclose(result.logits, ending(dense())(X), rtol=1e-5)
    np.testing.assert_allclose(result.probabilities, 1 / (1 + np.exp(-result.logits)), rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_single_sigmoid_has_two_classes(activation):
    """A single output y has two classes with logits (-y, y) and probabilities (1 - p, p)."""
    model = ending(L.Dense(1, activation=activation))
    result = compile_gradient_function(model, ["conv"])(X, np.array([[0, 1]], np.int32))
    np.testing.assert_allclose(result.dA[0][0], -result.dA[0][1], rtol=1e-6)
    np.testing.assert_allclose(result.logits[:, 0], -result.logits[:, 1])
    np.testing.assert_allclose(result.probabilities.sum(1), 1, rtol=1e-6)
    if activation:
        np.testing.assert_allclose(result.probabilities[:, 1], model(X)[:, 0], rtol=1e-6)


def test_convolutional_classifiers():
    """Averaged class feature maps are logits; averaged softmax feature maps have no logits."""
    x = keras.Input((8, 8, 3))
    linear = keras.Model(x, L.GlobalAveragePooling2D()(L.Conv2D(3, 1)(x)))
    softmax = keras.Model(x, L.GlobalAveragePooling2D()(L.Conv2D(3, 1, activation="softmax")(x)))
    assert find_output_activation(linear).activation == "linear"
    assert find_output_activation(softmax) is None


class Subclassed(keras.Model):
    """A subclassed model, which has no Keras graph."""

    def __init__(self):
        super().__init__()
        self.inner = small_network(size=8)

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("make", [Subclassed, lambda: ending(dense(activation="tanh"))])
def test_inaccessible_logit_is_refused_with_a_hint(make):
    """The error has a hint to `--score probability`, which works."""
    model = make()
    layer = "conv" if not isinstance(model, Subclassed) else "small/conv2"
    model(X)
    with pytest.raises(ModelError, match="not accessible") as caught:
        compile_gradient_function(model, [layer])
    assert "--score probability" in caught.value.hint
    result = compile_gradient_function(model, [layer], "probability")(X, np.zeros((1, 1), np.int32))
    assert result.logits is None
    np.testing.assert_allclose(result.probabilities, model(X), rtol=1e-5)


def test_softmax_over_a_single_unit_is_refused():
    with pytest.raises(ModelError, match="always 1"):
        compile_gradient_function(ending(L.Dense(1, activation="softmax")), ["conv"])(X, np.zeros((1, 1), np.int32))


def test_several_outputs_are_refused():
    x = keras.Input((8, 8, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="conv")(x))
    with pytest.raises(ModelError, match="one output"):
        compile_gradient_function(keras.Model(x, [y, y]), ["conv"])(X, np.zeros((1, 1), np.int32))
