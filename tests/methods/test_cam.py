"""The CAM methods and baselines against values computed by hand."""

import numpy as np
import pytest

from gradcam_cli.methods.cam import Cam, eigencam, flow, gradcam, zero_reason
from gradcam_cli.methods.registry import METHODS, names_of_kind

# Activations of 2x2 with two channels, and the gradient of the score with respect to them.
A = np.zeros((2, 2, 2), np.float32)
A[..., 0] = [[1, 2], [3, 4]]
A[..., 1] = [[4, 0], [2, 6]]
dA = np.zeros((2, 2, 2), np.float32)  # noqa: N816
dA[..., 0] = [[1, 0], [2, 1]]  # mean 4/4 = 1
dA[..., 1] = [[-1, -1], [2, -2]]  # mean -2/4 = -0.5

# (alpha, L) of each method, computed by hand.
BY_HAND = {
    # 1*[[1, 2], [3, 4]] - 0.5*[[4, 0], [2, 6]] = [[-1, 2], [2, 1]], and relu of it
    "gradcam": ([1, -0.5], [[0, 2], [2, 1]]),
    # alpha_ij = 1/(2 + S g) where g is not 0; S = 10 and 12. w_0 = 1/12 + 2/22 + 1/12, w_1 = 2/26
    "gradcam++": (
        [17 / 66, 1 / 13],
        [[17 / 66 + 4 / 13, 34 / 66], [51 / 66 + 2 / 13, 68 / 66 + 6 / 13]],
    ),
    # A dA = [[1, 0], [6, 4]] + [[-4, 0], [4, -12]]
    "hirescam": (None, [[0, 0], [10, 0]]),
    # A relu(dA) = [[1, 0], [6, 4]] + [[0, 0], [4, 0]]
    "layercam": (None, [[1, 0], [10, 4]]),
    # (1 + 0 + 6 + 4)/10 = 1.1 and (-4 + 0 + 4 - 12)/12 = -1
    "xgradcam": ([1.1, -1], [[0, 2.2], [1.3, 0]]),
    # A^T A = [[30, 34], [34, 56]]: eigenvalues 43 +- sqrt(1325); the larger one's eigenvector is (34, 13 + sqrt(1325))
    "eigencam": (
        np.array([34, 13 + np.sqrt(1325)]) / np.hypot(34, 13 + np.sqrt(1325)),
        (A @ [34, 13 + np.sqrt(1325)]) / np.hypot(34, 13 + np.sqrt(1325)),
    ),
    # |dA| A less the means 11/4 and 5 = [[-7, -11], [13, 5]]/4 and [[-1, -5], [-1, 7]]; G^T G = [[91/4, 21], [21, 76]],
    # whose larger eigenvalue has the eigenvector (168, 213 + sqrt(73593)); the largest value is at the last cell
    "segeigencam": (
        None,
        (np.array([[[-1.75, -1], [-2.75, -5]], [[3.25, -1], [1.25, 7]]]) @ [168, 213 + np.sqrt(73593)]).clip(0)
        / np.hypot(168, 213 + np.sqrt(73593)),
    ),
}


def check(name, method):
    expected_alpha, expected_L = BY_HAND[name]
    result = method(A, dA)
    alpha, L = (result.alpha, result.map) if isinstance(result, Cam) else result
    assert (alpha is None) == (expected_alpha is None)
    if alpha is not None:
        np.testing.assert_allclose(alpha, expected_alpha, rtol=1e-6)
    np.testing.assert_allclose(L, expected_L, rtol=1e-6)


@pytest.mark.parametrize("name", names_of_kind("cam"))
def test_methods_equal_values_by_hand(name):
    """Channel weights and map equal the values computed by hand."""
    check(name, METHODS[name].function)


def weighted(weights):
    """Return a method with the channel weights of a function."""

    def method(A, dA):
        alpha = weights(A, dA)
        return alpha, np.maximum(A @ alpha, 0)

    return method


def closed_form(total):
    """Grad-CAM++ weights with another sum of A."""

    def weights(A, dA):
        denominator = 2 * dA**2 + total(A) * dA**3
        return (np.divide(dA**2, denominator, out=np.zeros_like(dA), where=denominator != 0) * dA.clip(0)).sum((0, 1))

    return weights


def first_component(matrix):
    return np.linalg.svd(matrix, full_matrices=False)[2][0]


def centered_projection(G):
    G = G - G.mean((0, 1))
    L = G @ first_component(G.reshape(-1, 2))
    return None, (L if L.max() > -L.min() else -L).clip(0)


def centered(A, dA):
    return np.abs(dA) * A - (np.abs(dA) * A).mean((0, 1))


WRONG = {
    "gradcam without relu": lambda A, dA: (dA.mean((0, 1)), A @ dA.mean((0, 1))),
    "gradcam sum for mean": weighted(lambda A, dA: dA.sum((0, 1))),
    "gradcam guided": weighted(lambda A, dA: np.where((dA > 0) & (A > 0), dA, 0).mean((0, 1))),
    "gradcam element-wise": lambda A, dA: (dA.mean((0, 1)), np.maximum((A * dA).sum(-1), 0)),
    "gradcam absolute": lambda A, dA: (dA.mean((0, 1)), np.abs(A @ dA.mean((0, 1)))),
    "gradcam++ mean of A": weighted(closed_form(lambda A: A.mean((0, 1)))),
    "gradcam++ elementwise A": weighted(closed_form(lambda A: A)),
    "gradcam++ no relu of the gradient": weighted(
        lambda A, dA: np.divide(dA, 2 + A.sum((0, 1)) * dA, where=dA != 0, out=np.zeros_like(dA)).sum((0, 1))
    ),
    "hirescam averaged": lambda A, dA: (None, np.maximum(A @ dA.mean((0, 1)), 0)),
    "hirescam without relu": lambda A, dA: (None, (A * dA).sum(-1)),
    "layercam relu after the product": lambda A, dA: (None, np.maximum(A * dA, 0).mean(-1)),
    "layercam all gradients": lambda A, dA: (None, np.maximum((A * dA).sum(-1), 0)),
    "xgradcam not normalized": weighted(lambda A, dA: (A * dA).sum((0, 1))),
    "xgradcam normalized by all channels": weighted(lambda A, dA: (A * dA).sum((0, 1)) / A.sum()),
    "eigencam centered": weighted(lambda A, dA: np.abs(first_component((A - A.mean((0, 1))).reshape(-1, 2)))),
    "eigencam of the gradient": weighted(lambda A, dA: np.abs(first_component((A * dA).reshape(-1, 2)))),
    "segeigencam of signed gradients": lambda A, dA: centered_projection(dA * A),
    "segeigencam of the activations": lambda A, dA: centered_projection(A),
    "segeigencam not centered": lambda A, dA: (
        None,
        (np.abs(dA) * A) @ first_component((np.abs(dA) * A).reshape(-1, 2)),
    ),
    "segeigencam other sign": lambda A, dA: (None, (-centered(A, dA) @ [np.sqrt(0.1), np.sqrt(0.9)]).clip(0)),
    "eigencam other sign": weighted(lambda A, dA: -np.abs(first_component(A.reshape(-1, 2)))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_wrong_formulas_fail(wrong):
    """The test above fails for common wrong formulas of each method."""
    with pytest.raises(AssertionError):
        check(wrong.split()[0], WRONG[wrong])


def test_every_method_has_a_wrong_formula():
    assert {name.split()[0] for name in WRONG} == set(names_of_kind("cam")) == set(BY_HAND)


F = np.zeros((2, 2, 2), np.float32)
F[..., 0] = [[2, 0], [1, 4]]
F[..., 1] = [[1, 3], [-2, 0.5]]
# |a f| with a = dA: |[[2, 0], [2, 4]] + [[-1, -3], [-4, -1]]|
FLOW = [[1, 3], [2, 3]]


def test_flow_equals_values_by_hand():
    """The signs are kept in the sum over the channels, and do not depend on A."""
    for state in (A, 0 * A):
        result = flow(state, dA, F)
        assert result.alpha is None
        np.testing.assert_allclose(result.map, FLOW, rtol=1e-6)
    for wrong in (
        np.maximum((dA * F).sum(-1), 0),
        np.abs(dA * F).sum(-1),
        np.abs(F @ dA.mean((0, 1))),
        np.abs((dA * A).sum(-1)),
    ):
        assert not np.allclose(wrong, FLOW)


def test_eigencam_is_positive_for_negative_activations():
    """The sign of the singular vector is chosen so that the sum of A V_1 is positive."""
    for sign in (1, -1):
        np.testing.assert_allclose(eigencam(sign * A, dA).map, BY_HAND["eigencam"][1], rtol=1e-6)


def test_gradcam_plus_plus_does_not_overflow():
    """Gradients of extreme scale give finite weights and maps."""
    for scale in (1e-20, 1e10):
        result = METHODS["gradcam++"].function(A, scale * dA.astype(np.float64))
        assert np.isfinite(result.alpha).all()
        assert np.isfinite(result.map).all()


@pytest.mark.parametrize("name", names_of_kind("cam", "baseline"))
def test_zero_activations_or_gradients_give_zero_maps(name):
    """Zero activations or gradients give zero maps for CAM methods, and never NaN."""
    zeros = np.zeros((2, 2, 3), np.float32)
    for A_, dA_ in ((zeros, zeros), (zeros, zeros + 1), (zeros + 1, zeros)):
        L = METHODS[name].function(A_, dA_).map
        assert np.isfinite(L).all()
        if METHODS[name].kind == "cam" and not (name == "eigencam" and A_.any()):
            assert not L.any()


def test_random_is_uniform_and_repeatable():
    """Values in 0..1 with mean 1/2 and variance 1/12, which depend only on the activations."""
    ones = np.ones((200, 200, 1), np.float32)
    L = METHODS["random"].function(ones, ones).map
    assert L.mean() == pytest.approx(0.5, abs=0.01)
    assert L.var() == pytest.approx(1 / 12, abs=0.002)
    np.testing.assert_array_equal(L, METHODS["random"].function(ones, -ones).map)
    assert not np.allclose(L, METHODS["random"].function(2 * ones, ones).map)


def test_center_prior_and_uniform_map_by_hand():
    """exp(-4.5 (x^2 + y^2)) at y = -2/3, 0, 2/3 and x = -1/2, 1/2; and ones."""
    zeros = np.zeros((3, 2, 1), np.float32)
    edge, middle = np.exp(-4.5 * (4 / 9 + 1 / 4)), np.exp(-4.5 / 4)
    np.testing.assert_allclose(
        METHODS["center"].function(zeros, zeros).map, [[edge] * 2, [middle] * 2, [edge] * 2], rtol=1e-6
    )
    np.testing.assert_array_equal(METHODS["uniform"].function(zeros, zeros).map, np.ones((3, 2)))


def test_arguments_are_unchanged():
    before = A.copy(), dA.copy()
    gradcam(A, dA)
    np.testing.assert_array_equal((A, dA), before)


@pytest.mark.parametrize(
    ("A", "dA", "reason"),
    [
        (np.zeros((2, 2, 1)), np.ones((2, 2, 1)), "dead activations"),
        (np.ones((2, 2, 1)), np.zeros((2, 2, 1)), "no gradient"),
        (np.ones((2, 2, 1)), -np.ones((2, 2, 1)), "no positive channel weight"),
        (np.ones((2, 2, 2)) * [1, 3], np.ones((2, 2, 2)) * [1, -1], "no positive value"),
    ],
)
def test_a_zero_map_has_a_reason(A, dA, reason):
    assert reason in zero_reason(A, dA, gradcam(A, dA))
    assert zero_reason(np.ones((2, 2, 1)), np.ones((2, 2, 1)), gradcam(np.ones((2, 2, 1)), np.ones((2, 2, 1)))) is None
