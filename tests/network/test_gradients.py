"""Activations, gradients and scores against independent computations."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.methods.cam import gradcam
from gradcam_cli.network.gradients import compile_gradient_function

X = np.random.default_rng(3).uniform(-1, 1, (2, 12, 12, 3)).astype(np.float32)
TOP = np.full((2, 1), -1, np.int32)


def convolve(x, kernel, bias, padding=0):
    """A reference convolution of one image in float64."""
    x = np.pad(x, ((padding, padding), (padding, padding), (0, 0)))
    K = kernel.shape[0]
    H, W = x.shape[0] - K + 1, x.shape[1] - K + 1
    return np.array(
        [[np.einsum("abc,abcf->f", x[i : i + K, j : j + K], kernel) + bias for j in range(W)] for i in range(H)]
    )


def by_hand(model, x, c, score="logit"):
    """Forward and backward through `small_network`, in float64 NumPy: A, dy_c/dA, logits."""
    weights = {layer.name: [w.astype(np.float64) for w in layer.get_weights()] for layer in model.layers}
    A1 = np.maximum(convolve(x.astype(np.float64), *weights["conv1"]), 0)
    A = np.maximum(convolve(A1, *weights["conv2"], padding=1), 0)  # (10, 10, 5)
    cells = A.reshape(5, 2, 5, 2, 5).transpose(0, 2, 1, 3, 4).reshape(5, 5, 4, 5)
    pooled = cells.max(2)
    flat = pooled.reshape(-1)
    h = np.maximum(flat @ weights["hidden"][0] + weights["hidden"][1], 0)
    logits = h @ weights["predictions"][0] + weights["predictions"][1]
    dlogits = np.eye(len(logits))[c]
    if score == "probability":
        p = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        dlogits = p[c] * (dlogits - p)
    dflat = weights["hidden"][0] @ ((h > 0) * (weights["predictions"][0] @ dlogits))
    dcells = (cells == pooled[:, :, None]) * dflat.reshape(5, 5, 1, 5) / 1.0
    ties = (cells == pooled[:, :, None]).cumsum(2) == 1  # of equal values the first gets the gradient
    dcells = dcells * ties
    return A, dcells.reshape(5, 5, 2, 2, 5).transpose(0, 2, 1, 3, 4).reshape(10, 10, 5), logits


@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("c", [0, 1, 2])
def test_activations_and_gradients_equal_float64_numpy(c, score):
    """Activations, gradients, alpha and map equal those of float64 NumPy."""
    model = small_network()
    result = compile_gradient_function(model, ["conv2"], score)(X, np.full((2, 1), c, np.int32))
    for i in range(2):
        A, dA, logits = by_hand(model, X[i], c, score)
        np.testing.assert_allclose(result.A[0][i], A, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(result.dA[0][0, i], dA, rtol=1e-4, atol=1e-7)
        np.testing.assert_allclose(result.logits[i], logits, rtol=1e-4, atol=1e-5)
        alpha = dA.mean((0, 1))
        cam = gradcam(result.A[0][i], result.dA[0][0, i])
        np.testing.assert_allclose(cam.alpha, alpha, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(cam.map, np.maximum((A * alpha).sum(-1), 0), rtol=1e-3, atol=1e-7)


def test_softmax_for_logit_fails():
    """The gradients of probability and logit differ, so the test above detects the wrong score."""
    model = small_network()
    dA = compile_gradient_function(model, ["conv2"], "probability")(X, TOP).dA[0][0, 0]
    expected = by_hand(model, X[0], int(np.argmax(by_hand(model, X[0], 0)[2])))[1]
    assert not np.allclose(dA, expected, rtol=1e-2)


def test_guided_gradients_fail():
    """Guided backpropagation would give different gradients, so the test above detects it."""
    model = small_network()
    _, dA, _ = by_hand(model, X[0], 0)
    assert not np.allclose(np.maximum(dA, 0), dA, rtol=1e-2)
    np.testing.assert_allclose(
        compile_gradient_function(model, ["conv2"])(X, TOP * 0).dA[0][0, 0], dA, rtol=1e-4, atol=1e-7
    )


def test_classes_by_index_and_rank():
    """Class selectors are per image; -1 is the class with the largest score, -2 the next."""
    network = compile_gradient_function(small_network(), ["conv2"])
    result = network(X, np.array([[-1, -2, 2], [1, -1, -3]], np.int32))
    order = np.argsort(-result.logits, 1)
    np.testing.assert_array_equal(result.classes, [[order[0, 0], order[0, 1], 2], [1, order[1, 0], order[1, 2]]])
    single = network(X, np.array([[2], [1]], np.int32))
    np.testing.assert_allclose(result.dA[0][2, 0], single.dA[0][0, 0], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(result.dA[0][0, 1], single.dA[0][0, 1], rtol=1e-5, atol=1e-8)


def test_gradients_of_an_upstream_layer():
    """With a downstream layer in the same call, the upstream layer gets its full gradient."""
    model = small_network()
    both = compile_gradient_function(model, ["conv1", "conv2"])(X, TOP)
    for index, layer in enumerate(["conv1", "conv2"]):
        single = compile_gradient_function(model, [layer])(X, TOP)
        np.testing.assert_allclose(both.dA[index], single.dA[0], rtol=1e-5, atol=1e-8)
        assert np.abs(single.dA[0]).max() > 0


def test_gradient_inside_a_residual_block():
    """In a residual block, where no sub-model exists, the gradient equals finite differences."""
    keras.utils.set_random_seed(0)
    x = keras.Input((6, 6, 2))
    y = L.Conv2D(3, 1, name="stem")(x)
    branch = L.Conv2D(3, 3, padding="same", activation="tanh", name="branch")(y)
    out = L.Dense(2, activation="softmax")(L.GlobalAveragePooling2D()(L.Activation("tanh")(L.Add()([y, branch]))))
    model = keras.Model(x, out)
    image = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype(np.float32)
    result = compile_gradient_function(model, ["stem"])(image, np.zeros((1, 1), np.int32))
    head = compile_gradient_function(model, ["branch"])
    bias = model.get_layer("stem").bias
    total = result.dA[0].sum((0, 1, 2, 3))  # dy/d(bias of the stem)
    for k in range(3):
        h = 1e-2
        step = np.eye(3, dtype=np.float32)[k] * h
        values = []
        for sign in (1, -1):
            bias.assign_add(sign * step)
            values.append(head(image, np.zeros((1, 1), np.int32)).logits[0, 0])
            bias.assign_sub(sign * step)
        assert total[k] == pytest.approx((values[0] - values[1]) / (2 * h), rel=1e-2)


def nested():
    keras.utils.set_random_seed(1)
    inner = keras.Sequential(
        [keras.Input((12, 12, 3)), L.Conv2D(4, 3, activation="relu", name="conv"), L.MaxPooling2D()], name="backbone"
    )
    return keras.Sequential(
        [keras.Input((12, 12, 3)), inner, L.GlobalAveragePooling2D(), L.Dense(3, activation="softmax")]
    )


@pytest.mark.parametrize("layer", ["backbone/conv", "conv", "backbone"])
def test_layers_of_nested_models_by_path(layer):
    """Layers of a nested model, and the nested model itself, by path."""
    model = nested()
    result = compile_gradient_function(model, [layer])(X, TOP)
    weights = model.layers[-1].get_weights()[0]  # (4, 3)
    cells = 25
    if layer == "backbone":  # pooled output: all positions have equal gradients
        expected = weights[:, result.classes[0, 0]] / cells
        np.testing.assert_allclose(result.dA[0][0, 0], np.broadcast_to(expected, (5, 5, 4)), rtol=1e-5)
    else:
        assert result.A[0].shape == (2, 10, 10, 4)
        expected = weights[:, result.classes[0, 0]]  # each pooled value passes its gradient to one of four
        np.testing.assert_allclose(result.dA[0][0, 0].sum((0, 1)), expected, rtol=1e-4)


def test_independent_of_other_images_in_the_batch():
    """The gradients of an image do not depend on the other images of its batch."""
    network = compile_gradient_function(small_network(), ["conv2"])
    first = network(X, TOP)
    second = network(np.stack([X[0], X[1] * 5]), TOP)
    np.testing.assert_array_equal(first.dA[0][0, 0], second.dA[0][0, 0])


def test_model_is_unchanged():
    """Weights, activations, flags, attributes and the input array are unchanged."""
    model = nested()
    model.layers[0].trainable = False
    backbone_conv = model.layers[0].get_layer("conv")

    def state():
        flags = [(layer.trainable, sorted(layer.__dict__)) for layer in model._flatten_layers()]
        return flags, model.layers[-1].activation, backbone_conv.activation

    before, weights, x = state(), [w.copy() for w in model.get_weights()], X.copy()
    compile_gradient_function(model, ["backbone/conv"])(x, TOP)
    assert state() == before
    for after, original in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(after, original)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_allclose(model(X).numpy().sum(1), 1, rtol=1e-5)


def test_model_is_unchanged_after_an_error():
    model = small_network()
    with pytest.raises(ModelError):
        compile_gradient_function(model, ["flat"])(X, TOP)
    assert "call" not in model.get_layer("flat").__dict__
    assert model.layers[-1].activation is keras.activations.softmax


def counting(model, layer):
    """Count how often a layer is traced and executed."""
    counts = {"traced": 0, "run": 0}
    call = model.get_layer(layer).call

    def counted(x):
        counts["traced"] += 1

        def ran():
            counts["run"] += 1

        tf.py_function(ran, [], [])
        return call(x)

    model.get_layer(layer).call = counted
    return counts


def test_one_forward_pass_and_one_trace():
    """With three classes and two layers, the model is traced once and runs once per batch."""
    model = small_network()
    counts = counting(model, "conv1")
    network = compile_gradient_function(model, ["conv1", "conv2"])
    for _ in range(3):
        network(X, np.array([[0, 1, -1]] * 2, np.int32))
    assert counts == {"traced": 1, "run": 3}


def test_only_downstream_layers_are_differentiated():
    """The graph has no gradient of the convolution that computes A, nor of upstream ones."""
    model = small_network()
    network = compile_gradient_function(model, ["conv2"])
    network(X, TOP)
    (run,) = [
        cell.cell_contents for cell in network.__closure__ if hasattr(cell.cell_contents, "get_concrete_function")
    ]
    graph = run.get_concrete_function(tf.constant(X), tf.constant(TOP)).graph
    types = [operation.type for operation in graph.get_operations()]
    assert "MaxPoolGrad" in types
    assert not [name for name in types if name.startswith("Conv2DBackprop")]


def test_mixed_precision_model_gives_float32():
    """A float16 model gives float32 results, close to those of float64."""
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        model = small_network()
    finally:
        keras.config.set_dtype_policy(policy)
    result = compile_gradient_function(model, ["conv2"])(X, TOP)
    assert result.A[0].dtype == result.dA[0].dtype == result.logits.dtype == np.float32
    exact = by_hand(model, X[0], int(result.classes[0, 0]))
    np.testing.assert_allclose(result.logits[0], exact[2], rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("layer", "error", "words"),
    [
        ("flat", ModelError, r"layer flat: expected spatial output .*got \(125,\)"),
        ("conv9", UsageError, "conv9"),
    ],
)
def test_missing_and_flat_layers_are_refused(layer, error, words):
    with pytest.raises(error, match=words):
        compile_gradient_function(small_network(), [layer])(X, TOP)


def test_shared_and_unconnected_layers_are_refused():
    shared = L.Conv2D(3, 3, padding="same", name="shared")
    x = keras.Input((12, 12, 3))
    unused = L.Conv2D(2, 3, name="unused")(x)
    y = L.Dense(2)(L.GlobalAveragePooling2D()(shared(shared(x))))
    y = y + 0 * keras.ops.stop_gradient(keras.ops.mean(unused))
    model = keras.Model(x, y)
    with pytest.raises(ModelError, match=r"shared: expected one call .*got 2"):
        compile_gradient_function(model, ["shared"], "probability")(X, TOP)
    with pytest.raises(ModelError, match="does not depend on layer unused"):
        compile_gradient_function(model, ["unused"], "probability")(X, TOP)
