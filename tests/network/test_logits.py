"""Where the logit is, for every way in which a classifier can end."""

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
    """A classifier whose features are the same, with another end."""
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
def test_the_logit_is_reached(end):
    """Each end gives the same logits, and the probabilities that the model itself gives."""
    model = ending(*ENDS[end]())
    result = compile_gradient_function(model, ["conv"])(X, np.zeros((1, 1), np.int32))
    reference = ending(dense())(X).numpy()
    np.testing.assert_allclose(result.logits, reference, rtol=1e-5)
    expected = keras.ops.softmax(reference) if end == "linear" else model(X)
    np.testing.assert_allclose(result.probabilities, expected, rtol=1e-5)


def test_multi_label_sigmoids():
    """Each class has its own sigmoid; the logit is its own."""
    result = compile_gradient_function(ending(dense(activation="sigmoid")), ["conv"])(X, np.zeros((1, 1), np.int32))
    np.testing.assert_allclose(result.logits, ending(dense())(X), rtol=1e-5)
    np.testing.assert_allclose(result.probabilities, 1 / (1 + np.exp(-result.logits)), rtol=1e-5)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_single_sigmoid(activation):
    """One output y is two classes: y speaks for class 1, -y for class 0, with p and 1 - p."""
    model = ending(L.Dense(1, activation=activation))
    result = compile_gradient_function(model, ["conv"])(X, np.array([[0, 1]], np.int32))
    np.testing.assert_allclose(result.dA[0][0], -result.dA[0][1], rtol=1e-6)
    np.testing.assert_allclose(result.logits[:, 0], -result.logits[:, 1])
    np.testing.assert_allclose(result.probabilities.sum(1), 1, rtol=1e-6)
    if activation:
        np.testing.assert_allclose(result.probabilities[:, 1], model(X)[:, 0], rtol=1e-6)


def test_convolutional_classifiers():
    """Averaged class planes are logits; averaged softmax planes hide theirs."""
    x = keras.Input((8, 8, 3))
    open_ = keras.Model(x, L.GlobalAveragePooling2D()(L.Conv2D(3, 1)(x)))
    hidden = keras.Model(x, L.GlobalAveragePooling2D()(L.Conv2D(3, 1, activation="softmax")(x)))
    assert find_output_activation(open_).activation == "linear"
    assert find_output_activation(hidden) is None


class Opaque(keras.Model):
    """A subclassed model, whose graph Keras does not know."""

    def __init__(self):
        super().__init__()
        self.inner = small_network(size=8)

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("make", [Opaque, lambda: ending(dense(activation="tanh"))])
def test_hidden_logits_are_said_to_be_hidden(make):
    """No guess is made: the error names the way out, which gives the probability's gradient."""
    model = make()
    layer = "conv" if not isinstance(model, Opaque) else "small/conv2"
    model(X)
    with pytest.raises(ModelError, match="cannot be reached") as caught:
        compile_gradient_function(model, [layer])
    assert "--score probability" in caught.value.hint
    result = compile_gradient_function(model, [layer], "probability")(X, np.zeros((1, 1), np.int32))
    assert result.logits is None
    np.testing.assert_allclose(result.probabilities, model(X), rtol=1e-5)


def test_softmax_over_one_unit():
    with pytest.raises(ModelError, match="always 1"):
        compile_gradient_function(ending(L.Dense(1, activation="softmax")), ["conv"])(X, np.zeros((1, 1), np.int32))


def test_several_outputs():
    x = keras.Input((8, 8, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="conv")(x))
    with pytest.raises(ModelError, match="one output"):
        compile_gradient_function(keras.Model(x, [y, y]), ["conv"])(X, np.zeros((1, 1), np.int32))
