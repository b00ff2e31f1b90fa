"""The equations of Grad-CAM, against numbers worked out by hand."""

import numpy as np
import pytest

from gradcam_cli.cam import gradcam, why_zero

# Two channels on a 2x2 plane, and the gradient of the score with respect to them.
A = np.zeros((2, 2, 2), np.float32)
A[..., 0] = [[1, 2], [3, 4]]
A[..., 1] = [[4, 0], [2, 6]]
dA = np.zeros((2, 2, 2), np.float32)  # noqa: N816
dA[..., 0] = [[1, 0], [2, 1]]  # mean 4/4 = 1
dA[..., 1] = [[-1, -1], [2, -2]]  # mean -2/4 = -0.5

ALPHA = [1, -0.5]
# 1*[[1, 2], [3, 4]] - 0.5*[[4, 0], [2, 6]] = [[-1, 2], [2, 1]], and relu of it:
L = [[0, 2], [2, 1]]


def check(method):
    alpha, L_c = method(A, dA)
    np.testing.assert_array_equal(alpha, ALPHA)
    np.testing.assert_array_equal(L_c, L)


def test_gradcam_by_hand():
    """Equations 1 and 2 give alpha and the map exactly."""
    check(gradcam)


def without_relu(A, dA):
    alpha = dA.mean((0, 1))
    return alpha, A @ alpha


def sum_for_mean(A, dA):
    alpha = dA.sum((0, 1))
    return alpha, np.maximum(A @ alpha, 0)


def guided(A, dA):
    alpha = np.where((dA > 0) & (A > 0), dA, 0).mean((0, 1))
    return alpha, np.maximum(A @ alpha, 0)


def element_wise(A, dA):
    return dA.mean((0, 1)), np.maximum((A * dA).sum(-1), 0)


def absolute(A, dA):
    alpha = dA.mean((0, 1))
    return alpha, np.abs(A @ alpha)


@pytest.mark.parametrize("wrong", [without_relu, sum_for_mean, guided, element_wise, absolute])
def test_wrong_formulas_fail(wrong):
    """The test above tells Grad-CAM from the formulas that other tools put in its place."""
    with pytest.raises(AssertionError):
        check(wrong)


def test_arguments_are_left_alone():
    before = A.copy(), dA.copy()
    gradcam(A, dA)
    np.testing.assert_array_equal((A, dA), before)


@pytest.mark.parametrize(
    ("A", "dA", "reason"),
    [
        (np.zeros((2, 2, 1)), np.ones((2, 2, 1)), "dead activations"),
        (np.ones((2, 2, 1)), np.zeros((2, 2, 1)), "no gradient"),
        (np.ones((2, 2, 1)), -np.ones((2, 2, 1)), "all weights negative"),
        (np.ones((2, 2, 2)) * [1, 3], np.ones((2, 2, 2)) * [1, -1], "negative everywhere"),
    ],
)
def test_zero_maps_say_why(A, dA, reason):
    """A map of zeros comes with its reason, a map of anything else with none."""
    assert reason in why_zero(A, dA, gradcam(A, dA))
    assert why_zero(np.ones((2, 2, 1)), np.ones((2, 2, 1)), gradcam(np.ones((2, 2, 1)), np.ones((2, 2, 1)))) is None
