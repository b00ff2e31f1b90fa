"""The methods that ask a network many times, against closed forms for networks of one line."""

import numpy as np
import pytest

from gradcam_cli.methods import perturbation, pixel_gradients
from gradcam_cli.methods.cam import Cam, weighted_sum
from gradcam_cli.methods.registry import METHODS, names_of_kind
from gradcam_cli.methods.scorer import AttributionInputs


class Linear:
    """y = W x, and behind the layer y = V sum(A): two classes, gradients and ablations known in closed form."""

    def __init__(self, shape, channels=2):
        rng = np.random.default_rng(4)
        self.W = rng.normal(size=(2, *shape)).astype(np.float32)
        self.V = rng.normal(size=(2, channels)).astype(np.float32)
        self.asked = 0

    def scores(self, x):
        self.asked += len(x)
        return np.einsum("nhwc,khwc->nk", x, self.W)

    def scores_from_layer(self, x, A):
        self.asked += len(A)
        return A.sum((1, 2)) @ self.V.T

    def input_gradients(self, x, c):
        self.asked += len(x)
        return np.repeat(self.W[c][None], len(x), 0)

    def guided_gradients(self, x, c):
        return np.maximum(self.input_gradients(x, c), 0)


class Square(Linear):
    """y = sum x^2 / 2, whose gradient is x itself."""

    def scores(self, x):
        return np.repeat((x**2).sum((1, 2, 3))[:, None] / 2, 2, 1)

    def input_gradients(self, x, c):
        return x


def question(shape=(6, 6, 3), plane=(6, 6, 2), c=1):
    rng = np.random.default_rng(3)
    A = rng.uniform(0, 2, plane).astype(np.float32)
    dA = rng.normal(0.2, 1, plane).astype(np.float32)
    return AttributionInputs(rng.normal(size=shape).astype(np.float32), np.full(shape, -1, np.float32), A, dA, c)


def relative(got, expected):
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def test_scorecam():
    """Softmax over the channels of f(x H_k) - f(0), H_k the channel brought to 0..1 (planes of the input's size)."""
    q = question()
    network = Linear(q.x.shape)
    cam = perturbation.scorecam(network, q)
    C = []
    for k in range(2):
        channel = q.A[:, :, k].astype(np.float64)
        H = (channel - channel.min()) / (channel.max() - channel.min())
        C.append((network.W[1] * q.x * H[:, :, None]).sum())
    weights = np.exp(C) / np.exp(C).sum()
    np.testing.assert_allclose(cam.alpha, weights, rtol=1e-4)
    np.testing.assert_allclose(cam.map, weights[0] * q.A[..., 0] + weights[1] * q.A[..., 1], rtol=1e-4)


def test_scorecam_computes_dead_channels_once():
    """Channels without contrast mask everything: one pass for all of them, and C = 0."""
    q = question(plane=(6, 6, 200))
    q.A[:, :, 3:] = 0.5
    network = Linear(q.x.shape)
    cam = perturbation.scorecam(network, q)
    assert network.asked == 1 + 3
    assert len(set(cam.alpha[3:])) == 1


def test_scorecam_with_some_channels():
    """The channels of the largest deviation take part, and no other: their weights sum to one."""
    q = question(plane=(6, 6, 20))._replace(max_channels=4)
    network = Linear(q.x.shape)
    alpha = perturbation.scorecam(network, q).alpha
    assert network.asked == 1 + 4
    assert set(np.flatnonzero(alpha)) == set(np.argsort(q.A.std((0, 1)))[-4:])
    assert alpha.sum() == pytest.approx(1)


def test_ablationcam():
    """alpha_k = (y - y^k) / y = V_k sum(A_k) / y for a score that is linear behind the layer."""
    q = question()
    network = Linear(q.x.shape)
    sums = q.A.sum((0, 1))
    y = (network.V[1] * sums).sum()
    np.testing.assert_allclose(perturbation.ablationcam(network, q).alpha, network.V[1] * sums / y, rtol=1e-5)


def test_ablationcam_asks_once_a_living_channel():
    q = question(plane=(6, 6, 150))
    q.A[:, :, 100:] = 0
    network = Linear(q.x.shape, 150)
    alpha = perturbation.ablationcam(network, q).alpha
    assert network.asked == 1 + 100
    assert not alpha[100:].any()


def test_saliency_is_the_largest_absolute_gradient():
    q = question()
    network = Linear(q.x.shape)
    np.testing.assert_array_equal(pixel_gradients.saliency(network, q).map, np.abs(network.W[1]).max(-1))


def test_smoothgrad():
    """The mean gradient of noisy inputs: exactly W for a linear score, x within the noise of the mean for x^2/2."""
    q = question((20, 20, 3))
    network = Linear(q.x.shape)
    np.testing.assert_allclose(pixel_gradients.smoothgrad(network, q).map, np.abs(network.W[1]).max(-1), rtol=1e-6)
    sigma = 0.15 * np.ptp(q.x)
    noise = pixel_gradients.smoothgrad(Square(q.x.shape), q._replace(x=q.x * [1, 0, 0])).map - np.abs(q.x[..., 0])
    assert 0 < np.abs(noise).mean() < 2 * sigma / 5


def test_integrated_gradients_are_complete():
    """For x^2/2 the integral is (x^2 - x'^2)/2, and the attributions of all pixels sum to y(x) - y(x')."""
    q = question()
    expected = (q.x**2 - q.baseline**2) / 2
    L = pixel_gradients.integrated_gradients(Square(q.x.shape), q).map
    np.testing.assert_allclose(L, np.maximum(expected.sum(-1), 0), rtol=1e-4, atol=1e-4)
    bright = q._replace(x=np.abs(q.x) + 2)
    L = pixel_gradients.integrated_gradients(Square(q.x.shape), bright).map
    assert L.sum() == pytest.approx(((bright.x**2).sum() - (q.baseline**2).sum()) / 2, rel=1e-4)


def test_guided_gradcam_is_the_product():
    q = question()
    network = Linear(q.x.shape)
    alpha = q.dA.mean((0, 1))
    expected = np.maximum(network.W[1], 0).max(-1) * np.maximum(q.A @ alpha, 0)
    assert relative(pixel_gradients.guided_gradcam(network, q).map, expected) < 1e-6


def test_occlusion_pixel_by_pixel():
    """On 7x7 the patch is one pixel: what a linear score loses is W (x - black), summed over colours."""
    q = question((7, 7, 3))
    network = Linear(q.x.shape)
    expected = np.maximum((network.W[1] * (q.x - q.baseline)).sum(-1), 0)
    assert relative(perturbation.occlusion(network, q).map, expected) < 1e-5


def test_occlusion_averages_over_the_patches():
    """On 14x14 a patch is 2x2 and moves by one: a pixel's value is the mean of those that cover it."""
    q = question((14, 14, 3))
    network = Linear(q.x.shape)
    lost = (network.W[1] * (q.x - q.baseline)).sum(-1)
    patches = lost[:-1, :-1] + lost[1:, :-1] + lost[:-1, 1:] + lost[1:, 1:]
    L = perturbation.occlusion(network, q).map
    assert L[0, 0] == pytest.approx(max(patches[0, 0], 0), rel=1e-4)
    assert L[5, 5] == pytest.approx(max(patches[4:6, 4:6].mean(), 0), rel=1e-4, abs=1e-6)
    assert network.asked == 1 + 13 * 13


@pytest.mark.parametrize("name", names_of_kind("attribution"))
def test_the_arguments_are_left_alone(name):
    q = question((14, 14, 3), (14, 14, 2))
    before = [part.copy() for part in q[:4]]
    L = METHODS[name].function(Linear(q.x.shape), q).map
    assert L.shape == (14, 14)
    assert (L >= 0).all()
    for part, kept in zip(q[:4], before, strict=True):
        np.testing.assert_array_equal(part, kept)


WRONG = {
    "scorecam": lambda q, alpha: alpha / alpha.max(),
    "ablationcam": lambda q, alpha: -alpha,
}


def test_wrong_formulas_fail(monkeypatch):
    """Scores not normalised, ablations of the wrong sign, a mean for a maximum, the integral of another gradient."""
    own = weighted_sum
    for name, wrong in WRONG.items():
        monkeypatch.setattr(perturbation, "weighted_sum", lambda A, alpha, wrong=wrong: own(A, wrong(None, alpha)))
        with pytest.raises(AssertionError):
            globals()[f"test_{name}"]()
    monkeypatch.setattr(pixel_gradients, "_max_abs_over_channels", lambda g: Cam(None, np.abs(g).mean(2)))
    with pytest.raises(AssertionError):
        test_saliency_is_the_largest_absolute_gradient()
    monkeypatch.setattr(pixel_gradients, "IG_STEPS", 1)
    monkeypatch.setattr(Square, "input_gradients", lambda self, x, c: x**2)
    with pytest.raises(AssertionError):
        test_integrated_gradients_are_complete()
