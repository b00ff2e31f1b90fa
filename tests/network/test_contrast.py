"""The contrast y_c - gamma mean_d y_d, against a network whose A and dA are known in closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from small_models import small_network

from gradcam_cli.errors import ModelError
from gradcam_cli.methods.cam import gradcam
from gradcam_cli.network.contrast import Contrast, resolve_nearest
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.network.target import Target

GAMMA = 0.6
X = np.array([[[[4, 0], [0, 2]], [[1, 1], [3, 0]]]], np.float32)  # (1, 2, 2, 2)
W = np.array([[3, 1, 2, 0], [1, 2, 1, 4]], np.float32)  # (k, classes)


def pooled_network(kernel, size=2, activation="softmax"):
    """A = x, y = mean of A over the cells times the kernel: dy_c/dA_k = kernel[k, c] / cells."""
    k, classes = kernel.shape
    model = keras.Sequential(
        [
            keras.Input((size, size, k)),
            L.Conv2D(k, 1, use_bias=False, name="features"),
            L.GlobalAveragePooling2D(),
            L.Dense(classes, activation=activation, name="predictions"),
        ]
    )
    model.set_weights([np.eye(k, dtype=np.float32)[None, None], kernel, np.zeros(classes)])
    return model


def contrast(against, count=1, classes=1):
    return Contrast(np.broadcast_to(np.array(against, np.int32), (count, classes, len(against))), GAMMA)


def run(c, against=None, model=None, x=X, **options):
    network = compile_gradient_function(model or pooled_network(W), ["features"], **options)
    selectors = np.full((len(x), 1), c, np.int32)
    return network(x, selectors, None if against is None else contrast(against, len(x)))


def pre_relu(result, i=0):
    return gradcam(result.A[0][i], result.dA[0][0, i]).pre_relu


def test_a_hand_worked_map():
    """Class 0 against 1 and 3: alpha = ((3, 1) - 0.6 mean((1, 2), (0, 4))) / 4 = (2.7, -0.8) / 4."""
    expected = np.array([[4 * 2.7, 2 * -0.8], [2.7 - 0.8, 3 * 2.7]]) / 4
    np.testing.assert_allclose(pre_relu(run(0, (1, 3))), expected, rtol=1e-6)


@pytest.mark.parametrize("wrong", ["gamma of the whole", "sum", "relu before", "gamma of y_c"])
def test_wrong_formulas_give_another_map(wrong):
    right = pre_relu(run(0, (1, 3)))
    y_c, first, second = (X[0] @ (W[:, c] / 4) for c in (0, 1, 3))
    maps = {
        "gamma of the whole": GAMMA * (y_c - (first + second) / 2),
        "sum": y_c - GAMMA * (first + second),
        "relu before": y_c.clip(0) - GAMMA * (first.clip(0) + second.clip(0)),
        "gamma of y_c": GAMMA * y_c - (first + second) / 2,
    }
    assert np.abs(maps[wrong] - right).max() > 0.1


def test_the_map_is_linear_in_the_contrasted_scores():
    """Before the ReLU, L = L_c - gamma mean_d L_d, of a network with hidden layers."""
    model, x = small_network(5), np.random.default_rng(3).uniform(-1, 1, (2, 12, 12, 3)).astype(np.float32)
    network = compile_gradient_function(model, ["conv2"])
    plain = network(x, np.tile(np.arange(5, dtype=np.int32), (2, 1)))
    against = np.array([[[1, 4]], [[1, 4]]], np.int32)
    result = network(x, np.full((2, 1), 2, np.int32), Contrast(against, GAMMA))
    for i in range(2):
        L_of = [gradcam(plain.A[0][i], plain.dA[0][c, i]).pre_relu for c in range(5)]
        expected = L_of[2] - GAMMA * (L_of[1] + L_of[4]) / 2
        np.testing.assert_allclose(pre_relu(result, i), expected, rtol=1e-5, atol=1e-7)


def test_nearest_classes_and_map_equal_a_formula_written_down():
    """Of 10 classes, the three with the smallest |y_d - y_c| without c, as torch-cam chooses them."""
    random = np.random.default_rng(5)
    kernel, x = random.normal(size=(3, 10)), random.uniform(0, 1, (4, 2, 2, 3)).astype(np.float32)
    result = run(6, (-1, -2, -3), pooled_network(kernel), x)
    for i in range(4):
        y = x[i].mean((0, 1)) @ kernel
        nearest = [d for d in np.argsort(np.abs(y - y[6])) if d != 6][:3]
        assert result.against[i, 0].tolist() == nearest
        weights = (kernel[:, 6] - GAMMA * kernel[:, nearest].mean(1)) / 4
        np.testing.assert_allclose(pre_relu(result, i), x[i] @ weights, rtol=1e-4, atol=1e-6)


def test_nearest_classes_are_none_that_the_request_names():
    """With y = (5, 4, 3, 0), for class 0: the nearest but class 1 is 2; with a group of 1 and 2, it is 3."""
    y = tf.constant([[5.0, 4.0, 3.0, 0.0, 4.9]])
    assert resolve_nearest(y, tf.constant([0]), tf.constant([[1, -1]]), 4).numpy().tolist() == [[1, 2]]
    assert resolve_nearest(y, tf.constant([0]), tf.constant([[4, -1]]), 4, [(1, 2)]).numpy().tolist() == [[4, 3]]
    assert resolve_nearest(y, tf.constant([4]), tf.constant([[-1, -2]]), 4, [(1, 2)]).numpy().tolist() == [[0, 3]]


@pytest.mark.parametrize("count", [1, 3])
def test_a_contrast_needs_no_further_pass(monkeypatch, count):
    """One forward pass, and one gradient for each explained class, as without a contrast of four classes."""
    gradients, forward, original = [], [], tf.GradientTape.gradient

    def counted(self, *arguments, **options):
        gradients.append(1)
        return original(self, *arguments, **options)

    monkeypatch.setattr(tf.GradientTape, "gradient", counted)
    model = small_network(8)
    call = type(model).call
    monkeypatch.setattr(type(model), "call", lambda self, *a, **k: forward.append(1) or call(self, *a, **k))
    network = compile_gradient_function(model, ["conv1", "conv2"])
    x, classes = np.zeros((2, 12, 12, 3), np.float32), np.tile(np.arange(count, dtype=np.int32), (2, 1))
    network(x, classes)
    assert (len(gradients), len(forward)) == (count, 1)
    network(x, classes, contrast((-1, -2, -3, 7), 2, count))
    assert (len(gradients), len(forward)) == (2 * count, 2)


def test_a_group_has_the_sum_of_the_probabilities_and_its_logit():
    """y_G = log sum exp y_j; its gradient is the mean of those of its members, weighted by their shares of p_G."""
    y = X[0].mean((0, 1)) @ W
    p = np.exp(y) / np.exp(y).sum()
    result = run(4, target=Target(groups=((1, 3),)))
    assert result.ranked_by.shape == (1, 4)
    np.testing.assert_allclose(result.logits[0, 4], np.log(np.exp(y[1]) + np.exp(y[3])), rtol=1e-6)
    np.testing.assert_allclose(result.probabilities[0, 4], p[1] + p[3], rtol=1e-6)
    alpha = (p[1] * W[:, 1] + p[3] * W[:, 3]) / (p[1] + p[3]) / 4
    np.testing.assert_allclose(pre_relu(result), X[0] @ alpha, rtol=1e-5)
    assert np.abs(X[0] @ (W[:, [1, 3]].mean(1) / 4) - pre_relu(result)).max() > 0.1  # the mean of the logits


def test_the_probability_of_a_group_is_explained_by_its_gradient():
    y = X[0].mean((0, 1)) @ W
    p = np.exp(y) / np.exp(y).sum()
    result = run(4, score="probability", target=Target(groups=((1, 3),)))
    alpha = sum(p[j] * (W[:, j] - W @ p) for j in (1, 3)) / 4
    np.testing.assert_allclose(pre_relu(result), X[0] @ alpha, rtol=1e-4)


def test_a_class_against_a_group_uses_the_score_of_the_group():
    y = X[0].mean((0, 1)) @ W
    share = np.exp(y[[1, 3]]) / np.exp(y[[1, 3]]).sum()
    result = run(0, (4,), target=Target(groups=((1, 3),)))
    np.testing.assert_allclose(pre_relu(result), X[0] @ ((W[:, 0] - GAMMA * W[:, [1, 3]] @ share) / 4), rtol=1e-5)


def test_a_group_is_a_unit_of_the_scorer():
    scorer = ModelScorer(pooled_network(W), "features", "logit", "float32", 2, target=Target(groups=((0, 2),)))
    y = X[0].mean((0, 1)) @ W
    np.testing.assert_allclose(scorer.scores(X)[0, 4], np.log(np.exp(y[0]) + np.exp(y[2])), rtol=1e-6)


@pytest.mark.parametrize(("activation", "score"), [("sigmoid", "logit"), ("linear", "output")])
def test_a_group_requires_classes_that_exclude_each_other(activation, score):
    model = pooled_network(W, activation=activation)
    with pytest.raises(ModelError, match="requires probabilities that sum to 1"):
        run(4, model=model, score=score, target=Target(groups=((1, 3),)))
