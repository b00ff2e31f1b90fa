"""Logits and probabilities for all kinds of output activations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.errors import ModelError
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.logits import find_logits

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
    result = compile_gradient_function(model, ["conv"], task="binary")(X, np.array([[0, 1]], np.int32))
    np.testing.assert_allclose(result.dA[0][0], -result.dA[0][1], rtol=1e-6)
    np.testing.assert_allclose(result.logits[:, 0], -result.logits[:, 1])
    np.testing.assert_allclose(result.probabilities.sum(1), 1, rtol=1e-6)
    if activation:
        np.testing.assert_allclose(result.probabilities[:, 1], model(X)[:, 0], rtol=1e-6)


def output_of(model, x=X):
    """What `find_logits` finds in the traced graph: the activation, and whether the logits are accessible."""
    found = []

    @tf.function(autograph=False)
    def run(x):
        found.append(find_logits(model(x, training=False), x))
        return found[0].values

    run(tf.constant(x))
    return found[0].activation, found[0].logits is not None


def convolutional(*layers, **options):
    x = keras.Input((8, 8, 3))
    y = L.Conv2D(3, 1, name="conv", **options)(x)
    for layer in layers:
        y = layer(y)
    return keras.Model(x, y)


PLAIN_LOGITS = {
    "average of class maps": lambda: convolutional(L.GlobalAveragePooling2D()),
    "maximum of class maps": lambda: convolutional(L.GlobalMaxPooling2D()),
    "temperature": lambda: ending(dense(), lambda y: y / 2.5),
    "batch normalization": lambda: ending(dense(), L.BatchNormalization()),
    "spectral normalization": lambda: ending(L.SpectralNormalization(dense())),
    "rescaling": lambda: ending(dense(), L.Rescaling(0.5, 1.0)),
    "sum of two heads": lambda: two_heads(L.Add()),
}


def two_heads(join):
    x = keras.Input((8, 8, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(x))
    return keras.Model(x, join([dense()(y), dense()(y)]))


@pytest.mark.parametrize("kind", PLAIN_LOGITS)
def test_affine_functions_of_a_dense_layer_are_logits(kind):
    model = PLAIN_LOGITS[kind]()
    assert output_of(model) == ("linear", True)
    result = compile_gradient_function(model, ["conv"])(X, np.zeros((1, 1), np.int32))
    np.testing.assert_allclose(result.logits, model(X), rtol=1e-5)


NO_LOGITS = {
    "averaged softmax": lambda: convolutional(L.GlobalAveragePooling2D(), activation="softmax"),
    "dropout, averaged softmax": lambda: convolutional(
        L.Dropout(0.3), L.GlobalAveragePooling2D(), activation="softmax"
    ),
    "upsampled softmax": lambda: convolutional(L.UpSampling2D(), L.GlobalAveragePooling2D(), activation="softmax"),
    "average of two softmaxes": lambda: two_heads(lambda heads: L.Average()([L.Softmax()(head) for head in heads])),
    "product of two heads": lambda: two_heads(L.Multiply()),
    "relu": lambda: ending(dense(activation="relu")),
    "exponential": lambda: ending(dense(activation="exponential")),
}


@pytest.mark.parametrize("kind", NO_LOGITS)
def test_other_outputs_are_not_taken_for_logits(kind):
    assert output_of(NO_LOGITS[kind]()) == (None, False)


def test_the_second_output_of_a_nested_model_is_explained_by_its_own_logits():
    """`two_headed(x)[1]`: logits and gradients are those of the second head."""
    keras.utils.set_random_seed(0)
    x = keras.Input((8, 8, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu", name="conv")(x))
    heads = keras.Model(x, [L.Dense(3, activation="softmax")(y), L.Dense(3, activation="softmax", name="b")(y)])
    model = keras.Model(x, heads(x)[1])
    result = compile_gradient_function(model, ["conv"])(X, np.zeros((1, 1), np.int32))
    kernel, bias = (weight.numpy() for weight in heads.get_layer("b").weights)
    pooled = keras.Model(x, y)(X).numpy()
    np.testing.assert_allclose(result.logits, pooled @ kernel + bias, rtol=1e-5)
    A = result.A[0]
    np.testing.assert_allclose(result.dA[0][0], np.broadcast_to(kernel[:, 0] / A[0, ..., 0].size, A.shape), rtol=1e-5)


@pytest.mark.parametrize("wrap", [lambda y: [y], lambda y: {"scores": y}])
def test_one_output_in_a_list_or_dict(wrap):
    x = keras.Input((8, 8, 3))
    y = L.Softmax()(dense()(L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="conv")(x))))
    model = keras.Model(x, wrap(y))
    result = compile_gradient_function(model, ["conv"])(X, np.zeros((1, 1), np.int32))
    np.testing.assert_allclose(result.probabilities, keras.tree.flatten(model(X))[0], rtol=1e-5)


def test_a_softmax_layer_shared_with_attention_stays_in_the_attention():
    """The inner softmax is applied although the output softmax, the same layer, is not."""
    keras.utils.set_random_seed(0)
    softmax, x = L.Softmax(name="shared"), keras.Input((8, 8, 3))
    features = L.Conv2D(3, 1, name="conv")(x)
    attended = L.Multiply()([features, softmax(features)])
    head = dense()
    model = keras.Model(x, softmax(head(L.GlobalAveragePooling2D()(attended))))
    A = model.get_layer("conv")(X).numpy()
    weights = np.exp(A) / np.exp(A).sum(-1, keepdims=True)
    kernel, bias = (weight.numpy() for weight in head.weights)
    result = compile_gradient_function(model, ["conv"])(X, np.zeros((1, 1), np.int32))
    np.testing.assert_allclose(result.logits, (A * weights).mean((1, 2)) @ kernel + bias, rtol=1e-4)


class Subclassed(keras.Model):
    """A subclassed model, which has no Keras graph."""

    def __init__(self):
        super().__init__()
        self.inner = small_network(size=8, activation=None)

    def call(self, x):
        return tf.exp(self.inner(x))


@pytest.mark.parametrize("make", [Subclassed, lambda: ending(dense(activation="tanh"))])
def test_inaccessible_logit_is_refused_with_a_hint(make):
    """The error has a hint to `--score output`, which works; the output is not called a probability."""
    model = make()
    layer = "conv" if not isinstance(model, Subclassed) else "small/conv2"
    model(X)
    with pytest.raises(ModelError, match="not accessible") as caught:
        compile_gradient_function(model, [layer])(X, np.zeros((1, 1), np.int32))
    assert "--score output" in caught.value.hint
    result = compile_gradient_function(model, [layer], "output")(X, np.zeros((1, 1), np.int32))
    assert result.logits is None
    np.testing.assert_allclose(result.y, model(X), rtol=1e-5)
    assert np.isnan(result.probabilities).all()
    with pytest.raises(ModelError, match="expected probabilities"):
        compile_gradient_function(model, [layer], "probability")(X, np.zeros((1, 1), np.int32))


def test_softmax_over_a_single_unit_is_refused():
    with pytest.raises(ModelError, match="always 1"):
        compile_gradient_function(ending(L.Dense(1, activation="softmax")), ["conv"])(X, np.zeros((1, 1), np.int32))


def test_several_outputs_are_refused():
    x = keras.Input((8, 8, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(3, 1, name="conv")(x))
    with pytest.raises(ModelError, match="one output"):
        compile_gradient_function(keras.Model(x, [y, y]), ["conv"])(X, np.zeros((1, 1), np.int32))
