"""ModelScorer: scores and gradients equal those of the model, which is unchanged."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.scorer import ModelScorer

RNG = np.random.default_rng(5)


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def x():
    return RNG.uniform(-1, 1, (5, 12, 12, 3)).astype(np.float32)


def test_scores_are_the_logits(network, x):
    """In batches of two, the last one padded, the scores equal the model's output."""
    scorer = ModelScorer(network, "conv2", "logit", "float32", 2)
    passed = compile_gradient_function(network, ["conv2"])(x, np.full((5, 1), -1, np.int32))
    np.testing.assert_allclose(scorer.scores(x), passed.logits, rtol=1e-5)
    softmax = ModelScorer(network, "conv2", "probability", "float32", 2)
    np.testing.assert_allclose(softmax.scores(x), network.predict(x, verbose=0), rtol=1e-5)


def test_scores_from_given_activations(network, x):
    """The layer's own activations give the scores of the input; zeros give those of the biases."""
    scorer = ModelScorer(network, "conv2", "logit", "float32", 4)
    A = compile_gradient_function(network, ["conv2"])(x, np.full((5, 1), -1, np.int32)).A[0]
    np.testing.assert_allclose(scorer.scores_from_layer(x[0], A), scorer.scores(x), rtol=1e-5)
    hidden = np.maximum(network.get_layer("hidden").bias.numpy(), 0)
    kernel, bias = (weight.numpy() for weight in network.get_layer("predictions").weights)
    np.testing.assert_allclose(scorer.scores_from_layer(x[0], 0 * A[:1])[0], hidden @ kernel + bias, rtol=1e-5)


def test_gradients_at_given_activations(network, x):
    """For several activations and a class of each: the chain rule in NumPy."""
    A = np.random.default_rng(8).uniform(size=(3, 10, 10, 5)).astype(np.float32)
    classes = (2, 0, 1)
    dA = ModelScorer(network, "conv2", "logit", "float32", 8).gradients_from_layer(x[0], A, classes)
    (kernel, bias), (out, _) = ([w.numpy() for w in network.get_layer(n).weights] for n in ("hidden", "predictions"))
    for n, c in enumerate(classes):
        windows = A[n].reshape(5, 2, 5, 2, 5).transpose(0, 2, 4, 1, 3).reshape(5, 5, 5, 4)  # rows, columns, k, cells
        active = windows.max(-1).reshape(-1) @ kernel + bias > 0
        pooled = (kernel @ (active * out[:, c])).reshape(5, 5, 5)
        expected = (np.eye(4)[windows.argmax(-1)] * pooled[..., None]).reshape(5, 5, 5, 2, 2).transpose(0, 3, 1, 4, 2)
        np.testing.assert_allclose(dA[n], expected.reshape(10, 10, 5), rtol=1e-4, atol=1e-6)


def test_scores_from_a_layer_in_a_residual_block():
    """The skip connection is included: y = sum(x + A), with A replaced."""
    inputs = keras.Input((4, 4, 1))
    inner = L.Conv2D(1, 1, name="inner", kernel_initializer="ones")(inputs)
    model = keras.Model(inputs, L.Dense(2, kernel_initializer="ones")(L.Flatten()(L.Add()([inputs, inner]))))
    x = RNG.uniform(size=(1, 4, 4, 1)).astype(np.float32)
    y = ModelScorer(model, "inner", "logit", "float32", 8).scores_from_layer(x[0], np.zeros((3, 4, 4, 1), np.float32))
    np.testing.assert_allclose(y, np.full((3, 2), x.sum()), rtol=1e-5)


def test_upstream_layers_are_not_computed(network, x):
    """The graph of `scores_from_layer` has no upstream convolution."""
    scorer = ModelScorer(network, "conv2", "logit", "float32", 4)
    A = RNG.uniform(size=(4, 10, 10, 5)).astype(np.float32)
    scorer.scores_from_layer(x[0], A)
    import tensorflow as tf

    concrete = scorer._scores_from_layer.get_concrete_function(tf.constant(x[:1]), tf.constant(A))
    graph = concrete.graph.as_graph_def()
    from tensorflow.python.framework.graph_util import extract_sub_graph

    needed = extract_sub_graph(graph, [concrete.outputs[0].op.name])
    assert not [node for node in needed.node if node.op == "Conv2D"]


def test_input_gradients_equal_finite_differences(network, x):
    """dy_c/dx equals the central difference of the scores."""
    scorer = ModelScorer(network, "conv2", "logit", "float32", 4)
    gradient = scorer.input_gradients(x[:1], 2)[0]
    for index in [(0, 0, 0), (5, 6, 1), (11, 11, 2)]:
        step = np.zeros_like(x[0])
        step[index] = 1e-2
        low, high = scorer.scores(np.stack([x[0] - step, x[0] + step]))[:, 2]
        assert gradient[index] == pytest.approx((high - low) / 2e-2, rel=0.05, abs=1e-3)


def guided_by_hand(x, V, W):
    """Guided dy/dx of y = W relu(V x): only positive gradients of active units pass the ReLU."""
    hidden = V @ x
    return V.T @ (np.maximum(W, 0) * (hidden > 0))


@pytest.mark.parametrize("kind", ["activation", "layer", "function", "relu6"])
def test_guided_gradients_by_hand(kind):
    """ReLU as activation, layer and function, and ReLU6; plain gradients differ."""
    x = RNG.uniform(0.1, 0.5, 4).astype(np.float32)
    V = (RNG.uniform(0.5, 1, (6, 4)) * np.array([1, 1, 1, 1, -1, -1])[:, None]).astype(
        np.float32
    )  # two units are inactive
    W = np.array([1, -2, 3, -1, 2, -1], np.float32)
    inputs = keras.Input((2, 2, 1))
    flat = L.Flatten()(inputs)
    dense = L.Dense(6, name="hidden", activation="relu" if kind == "activation" else None)
    y = dense(flat)
    y = {"layer": L.ReLU(), "function": keras.ops.relu, "relu6": L.ReLU(6.0)}.get(kind, lambda y: y)(y)
    model = keras.Model(inputs, L.Dense(2, name="out")(y))
    dense.set_weights([V.T, np.zeros(6)])
    model.get_layer("out").set_weights([np.stack([W, -W], 1), np.zeros(2)])
    before = {id(layer): dict(layer.__dict__) for layer in model.layers}
    scorer = ModelScorer(model, "hidden", "logit", "float32", 1)
    image = x.reshape(1, 2, 2, 1)
    np.testing.assert_allclose(scorer.guided_gradients(image, 0).ravel(), guided_by_hand(x, V, W), rtol=1e-4)
    plain = V.T @ (W * (V @ x > 0))
    np.testing.assert_allclose(scorer.input_gradients(image, 0).ravel(), plain, rtol=1e-4)
    assert not np.allclose(plain, guided_by_hand(x, V, W))
    assert all(dict(layer.__dict__).keys() == before[id(layer)].keys() for layer in model.layers)
    if kind == "activation":
        assert dense.activation is keras.activations.relu


@pytest.mark.parametrize("activation", ["linear", "softmax", "sigmoid"])
@pytest.mark.parametrize("skip", [False, True])
def test_logits_from_a_layer_for_each_head(activation, skip):
    """The logits depend on the activations alone, or also on the input by a branch around the layer."""
    keras.utils.set_random_seed(1)
    image = keras.Input((6, 6, 3))
    features = keras.layers.Conv2D(3, 1, activation="relu", name="conv")(image)
    merged = keras.layers.Add()([features, image]) if skip else features
    head = keras.layers.Dense(4, activation=activation, name="head")
    model = keras.Model(image, head(keras.layers.GlobalAveragePooling2D()(merged)))
    x = np.random.default_rng(0).normal(size=(6, 6, 3)).astype(np.float32)
    A = np.random.default_rng(1).normal(size=(5, 6, 6, 3)).astype(np.float32)
    y = ModelScorer(model, "conv", "logit", "float32", 2).scores_from_layer(x, A)
    kernel, bias = (weight.numpy() for weight in head.weights)
    np.testing.assert_allclose(y, (A + x if skip else A).mean((1, 2)) @ kernel + bias, rtol=1e-4, atol=1e-6)
