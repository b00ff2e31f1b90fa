"""Perturbation and input-gradient methods against closed forms for simple models."""

import numpy as np
import pytest

from gradcam_cli.methods import perturbation, pixel_gradients
from gradcam_cli.methods.cam import Cam, weighted_sum
from gradcam_cli.methods.fullgrad import FullGradients
from gradcam_cli.methods.registry import METHODS, names_of_kind
from gradcam_cli.methods.scorer import AttributionInputs


class Linear:
    """y = W x, and y = V sum(A) from the layer: two classes, gradients and ablations in closed form."""

    def __init__(self, shape, channels=2):
        rng = np.random.default_rng(4)
        self.W = rng.normal(size=(2, *shape)).astype(np.float32)
        self.V = rng.normal(size=(2, channels)).astype(np.float32)
        self.num_inputs = 0

    def scores(self, x):
        self.num_inputs += len(x)
        return np.einsum("nhwc,khwc->nk", x, self.W)

    def scores_from_layer(self, x, A):
        self.num_inputs += len(A)
        return A.sum((1, 2)) @ self.V.T

    def input_gradients(self, x, c):
        self.num_inputs += len(x)
        return np.repeat(self.W[c][None], len(x), 0)

    def guided_gradients(self, x, c):
        return np.maximum(self.input_gradients(x, c), 0)

    def full_gradients(self, x, c):
        y_c = float(self.scores(x[None])[0, c])
        return FullGradients(y_c, x * self.W[c], [])


class Square(Linear):
    """y = sum x^2 / 2, whose gradient is x itself."""

    def scores(self, x):
        return np.repeat((x**2).sum((1, 2, 3))[:, None] / 2, 2, 1)

    def input_gradients(self, x, c):
        return x


def attribution_inputs(shape=(6, 6, 3), layer_shape=(6, 6, 2), c=1):
    rng = np.random.default_rng(3)
    A = rng.uniform(0, 2, layer_shape).astype(np.float32)
    dA = rng.normal(0.2, 1, layer_shape).astype(np.float32)
    return AttributionInputs(rng.normal(size=shape).astype(np.float32), np.full(shape, -1, np.float32), A, dA, c)


def relative(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def test_scorecam_weights_are_the_softmax_of_scores():
    """Weights are the softmax of f(x H_k) - f(0), with H_k the channel scaled to 0..1, of the input size."""
    inputs = attribution_inputs()
    network = Linear(inputs.x.shape)
    cam = perturbation.scorecam(network, inputs)
    C = []
    for k in range(2):
        channel = inputs.A[:, :, k].astype(np.float64)
        H = (channel - channel.min()) / (channel.max() - channel.min())
        C.append((network.W[1] * inputs.x * H[:, :, None]).sum())
    weights = np.exp(C) / np.exp(C).sum()
    np.testing.assert_allclose(cam.alpha, weights, rtol=1e-4)
    np.testing.assert_allclose(cam.map, weights[0] * inputs.A[..., 0] + weights[1] * inputs.A[..., 1], rtol=1e-4)


def test_scorecam_skips_constant_channels():
    """Constant channels have C = 0 without a model run."""
    inputs = attribution_inputs(layer_shape=(6, 6, 200))
    inputs.A[:, :, 3:] = 0.5
    network = Linear(inputs.x.shape)
    cam = perturbation.scorecam(network, inputs)
    assert network.num_inputs == 1 + 3
    assert len(set(cam.alpha[3:])) == 1


def test_max_channels_selects_the_most_varied_channels():
    """Only the channels with the largest standard deviation have weights, which sum to one."""
    inputs = attribution_inputs(layer_shape=(6, 6, 20))._replace(max_channels=4)
    network = Linear(inputs.x.shape)
    alpha = perturbation.scorecam(network, inputs).alpha
    assert network.num_inputs == 1 + 4
    assert set(np.flatnonzero(alpha)) == set(np.argsort(inputs.A.std((0, 1)))[-4:])
    assert alpha.sum() == pytest.approx(1)


def test_ablationcam_weights_are_relative_score_drops():
    """alpha_k = (y - y^k) / y = V_k sum(A_k) / y for a score that is linear in A."""
    inputs = attribution_inputs()
    network = Linear(inputs.x.shape)
    sums = inputs.A.sum((0, 1))
    y = (network.V[1] * sums).sum()
    np.testing.assert_allclose(perturbation.ablationcam(network, inputs).alpha, network.V[1] * sums / y, rtol=1e-5)


def test_ablationcam_skips_zero_channels():
    inputs = attribution_inputs(layer_shape=(6, 6, 150))
    inputs.A[:, :, 100:] = 0
    network = Linear(inputs.x.shape, 150)
    alpha = perturbation.ablationcam(network, inputs).alpha
    assert network.num_inputs == 1 + 100
    assert not alpha[100:].any()


class OfCells(Linear):
    """y = (sum over cells of their first channel)^2, with 10 at no activation at all."""

    def scores_from_layer(self, x, A):
        self.num_inputs += len(A)
        assert (np.count_nonzero(A.any(-1), axis=(1, 2)) <= 1).all()
        return np.repeat(A[..., 0].sum((1, 2))[:, None] ** 2 + 10, 2, 1)


def test_reciprocam_is_the_score_of_single_cells():
    """Cells of 1, -2, 3 and 0 alone have the scores 11, 14, 19 and 10, less the minimum: 1, 4, 9 and 0."""
    A = np.ones((2, 2, 3), np.float32)
    A[..., 0] = [[1, -2], [3, 0]]
    inputs = attribution_inputs()._replace(A=A, dA=A)
    network = OfCells(inputs.x.shape)
    np.testing.assert_allclose(perturbation.reciprocam(network, inputs).map, [[1, 4], [9, 0]])
    assert network.num_inputs == 4


def test_reciprocam_of_many_cells():
    """All cells of a layer larger than a batch, in their order."""
    A = np.random.default_rng(5).uniform(size=(13, 17, 2)).astype(np.float32)
    network = Linear((6, 6, 3))
    L = perturbation.reciprocam(network, attribution_inputs()._replace(A=A, dA=A)).map
    expected = A @ network.V[1]
    np.testing.assert_allclose(L, expected - expected.min(), rtol=1e-4, atol=1e-6)


def test_saliency_is_the_maximum_absolute_gradient():
    inputs = attribution_inputs()
    network = Linear(inputs.x.shape)
    np.testing.assert_array_equal(pixel_gradients.saliency(network, inputs).map, np.abs(network.W[1]).max(-1))


def test_smoothgrad_is_the_mean_gradient_of_noisy_inputs():
    """The mean gradient of noisy inputs: exactly W for a linear score, x within the noise of the mean for x^2/2."""
    inputs = attribution_inputs((20, 20, 3))
    network = Linear(inputs.x.shape)
    np.testing.assert_allclose(pixel_gradients.smoothgrad(network, inputs).map, np.abs(network.W[1]).max(-1), rtol=1e-6)
    sigma = 0.15 * np.ptp(inputs.x)
    noise = pixel_gradients.smoothgrad(Square(inputs.x.shape), inputs._replace(x=inputs.x * [1, 0, 0])).map - np.abs(
        inputs.x[..., 0]
    )
    assert 0 < np.abs(noise).mean() < 2 * sigma / 5


def test_integrated_gradients_are_complete():
    """For x^2/2 the integral is (x^2 - x'^2)/2, and the attributions of all pixels sum to y(x) - y(x')."""
    inputs = attribution_inputs()
    expected = (inputs.x**2 - inputs.baseline**2) / 2
    L = pixel_gradients.integrated_gradients(Square(inputs.x.shape), inputs).map
    np.testing.assert_allclose(L, np.maximum(expected.sum(-1), 0), rtol=1e-4, atol=1e-4)
    bright = inputs._replace(x=np.abs(inputs.x) + 2)
    L = pixel_gradients.integrated_gradients(Square(inputs.x.shape), bright).map
    assert L.sum() == pytest.approx(((bright.x**2).sum() - (inputs.baseline**2).sum()) / 2, rel=1e-4)


def test_guided_gradcam_is_the_product():
    inputs = attribution_inputs()
    network = Linear(inputs.x.shape)
    alpha = inputs.dA.mean((0, 1))
    expected = np.maximum(network.W[1], 0).max(-1) * np.maximum(inputs.A @ alpha, 0)
    assert relative(pixel_gradients.guided_gradcam(network, inputs).map, expected) < 1e-6


def test_occlusion_of_single_pixels_is_their_contribution():
    """On 7x7 the patch is one pixel: a linear score drops by W (x - baseline), summed over channels."""
    inputs = attribution_inputs((7, 7, 3))
    network = Linear(inputs.x.shape)
    expected = np.maximum((network.W[1] * (inputs.x - inputs.baseline)).sum(-1), 0)
    assert relative(perturbation.occlusion(network, inputs).map, expected) < 1e-5


def test_occlusion_averages_over_the_patches():
    """On 14x14 the patch is 2x2 with stride 1: a pixel's value is the mean over its patches."""
    inputs = attribution_inputs((14, 14, 3))
    network = Linear(inputs.x.shape)
    score_drop = (network.W[1] * (inputs.x - inputs.baseline)).sum(-1)
    patches = score_drop[:-1, :-1] + score_drop[1:, :-1] + score_drop[:-1, 1:] + score_drop[1:, 1:]
    L = perturbation.occlusion(network, inputs).map
    assert L[0, 0] == pytest.approx(max(patches[0, 0], 0), rel=1e-4)
    assert L[5, 5] == pytest.approx(max(patches[4:6, 4:6].mean(), 0), rel=1e-4, abs=1e-6)
    assert network.num_inputs == 1 + 13 * 13


@pytest.mark.parametrize("name", names_of_kind("attribution"))
def test_arguments_are_unchanged(name):
    inputs = attribution_inputs((14, 14, 3), (14, 14, 2))
    before = [part.copy() for part in inputs[:4]]
    L = METHODS[name].function(Linear(inputs.x.shape), inputs).map
    assert L.shape == (14, 14)
    assert (L >= 0).all()
    for part, original in zip(inputs[:4], before, strict=True):
        np.testing.assert_array_equal(part, original)


WRONG = {
    test_scorecam_weights_are_the_softmax_of_scores: lambda alpha: alpha / alpha.max(),
    test_ablationcam_weights_are_relative_score_drops: lambda alpha: -alpha,
}
"""For each test a wrong formula of the weights, with which it must fail."""


def test_wrong_formulas_fail(monkeypatch):
    """Weights without normalization or of wrong sign, a mean for a maximum, and a wrong integral fail."""
    original = weighted_sum
    for test, wrong in WRONG.items():
        monkeypatch.setattr(perturbation, "weighted_sum", lambda A, alpha, wrong=wrong: original(A, wrong(alpha)))
        with pytest.raises(AssertionError):
            test()
    monkeypatch.setattr(pixel_gradients, "_max_abs_over_channels", lambda g: Cam(None, np.abs(g).mean(2)))
    with pytest.raises(AssertionError):
        test_saliency_is_the_maximum_absolute_gradient()
    for wrong in (lambda y: y + 10, lambda y: y.max() - y, lambda y: y / y.max(), lambda y: y.T):
        monkeypatch.setattr(perturbation, "Cam", lambda alpha, y, wrong=wrong: Cam(alpha, wrong(y)))
        with pytest.raises(AssertionError):
            test_reciprocam_is_the_score_of_single_cells()
    monkeypatch.setattr(pixel_gradients, "IG_STEPS", 1)
    monkeypatch.setattr(Square, "input_gradients", lambda self, x, c: x**2)
    with pytest.raises(AssertionError):
        test_integrated_gradients_are_complete()
