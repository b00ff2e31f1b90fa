"""Metrics of the families against values worked out by hand, closed forms and least squares."""

import math

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics import (
    axiomatic,
    complexity,
    faithfulness,
    localization,
    randomization,
    robustness,
    subsets,
)

ZEROS = np.zeros((4, 4))
ONE_PIXEL = np.eye(4) * [1, 0, 0, 0]


def test_complexity_of_equal_values_and_of_one_pixel():
    """Entropy log d and 0, Gini index 0 and 1 - 1/d, all pixels and one."""
    for value, of_equal, of_one in (
        (complexity.entropy, math.log(16), 0),
        (complexity.gini, 0, 15 / 16),
        (complexity.effective_complexity, 1, 1 / 16),
    ):
        assert value(np.full((4, 4), 0.3)) == pytest.approx(of_equal, abs=1e-12)
        assert value(ONE_PIXEL) == pytest.approx(of_one, abs=1e-12)


def test_complexity_by_hand():
    """1, 2, 1: the entropy of 1/4, 1/2, 1/4, and the Gini index as the mean difference of pairs."""
    L = np.array([[1.0, 2.0, 1.0]])
    assert complexity.entropy(L) == pytest.approx(1.5 * math.log(2))
    assert complexity.gini(L) == pytest.approx(sum(abs(a - b) for a in (1, 1, 2) for b in (1, 1, 2)) / (2 * 3 * 4))


def test_robustness_by_hand():
    """|L| = 5; changes 3 and 4 of one pixel; the input changes by 1 and 2 of the norm."""
    L = np.array([[3.0, 4.0]])
    Ls = np.array([[[6.0, 4.0]], [[3.0, 8.0]]])
    x, xs = np.full((1, 2, 1), 2.0), np.array([[[[3.0], [2.0]]], [[[2.0], [4.0]]]])
    assert robustness.avg_sensitivity(L, Ls) == pytest.approx((3 / 5 + 4 / 5) / 2)
    assert robustness.max_sensitivity(L, Ls) == pytest.approx(4 / 5)
    assert robustness.local_lipschitz(L, Ls, x, xs) == pytest.approx(max(3 / 1, 4 / 2))
    assert robustness.relative_input_stability(L, Ls, x, xs) == pytest.approx(max((3 / 3) / (1 / 2), (4 / 4) / (2 / 2)))
    y, ys = np.array([1.0, 0.0]), np.array([[1.0, 0.5], [1.0, 4.0]])
    assert robustness.relative_output_stability(L, Ls, y, ys) == pytest.approx(max(1 / 0.5, 1 / 4))


def test_pixels_near_zero_do_not_decide_relative_changes():
    """A change of 0.001 where the map is 0 counts as a tenth, not as infinity."""
    L, Ls = np.array([[1.0, 0.0]]), np.array([[[1.0, 0.001]]])
    x, xs = np.full((1, 2, 1), 1.0), np.full((1, 1, 2, 1), 0.9)
    assert robustness.relative_input_stability(L, Ls, x, xs) == pytest.approx(0.1 / math.hypot(0.1, 0.1))


def test_noise_is_bounded_and_seeded():
    x = np.full((5, 6, 3), 128, np.float32)
    noisy, again = (robustness.add_uniform_noise(x, np.random.default_rng(1)) for _ in range(2))
    np.testing.assert_array_equal(noisy, again)
    assert noisy.shape == (10, 5, 6, 3)
    assert 0.95 * 12.75 < np.abs(noisy - x).max() <= 12.75


def test_completeness_of_a_linear_model():
    """Gradient times input of y = w x + b sums to y(x) - y(0); half of it is off by a half."""
    w, x = np.array([1.0, -2.0, 4.0]), np.array([3.0, 1.0, 1.0])
    assert axiomatic.completeness(w * x, 5 + 7, 7) == pytest.approx(0)
    assert axiomatic.completeness(w * x / 2, 5 + 7, 7) == pytest.approx(0.5)
    assert axiomatic.completeness(w * x, 7, 7) is None


def test_input_invariance_by_hand():
    L = np.array([[3.0, 4.0]])
    assert axiomatic.input_invariance(L, L) == 0
    assert axiomatic.input_invariance(L, np.array([[3.0, 2.0]])) == pytest.approx(2 / 5)


def test_adcc_by_hand():
    """Coherency 0.8, mean of the map 0.25, average drop 0.4: the harmonic mean of 0.8, 0.75 and 0.6."""
    L = np.array([[1.0, 0.0], [0.0, 0.0]])
    assert faithfulness.adcc(L, 0.8, 0.4) == pytest.approx(3 / (1 / 0.8 + 1 / 0.75 + 1 / 0.6))
    assert faithfulness.adcc(L, 0.0, 0.4) == 0
    assert faithfulness.adcc(L, None, 0.4) is None


def test_coherency_by_hand():
    """1 for a linear function of the map, 0 for its negative, 1/2 without correlation."""
    L = np.array([[0.0, 1.0], [0.0, 1.0]])
    assert faithfulness.coherency(L, 0.2 + 0.5 * L) == pytest.approx(1)
    assert faithfulness.coherency(L, 1 - L) == pytest.approx(0)
    assert faithfulness.coherency(L, np.array([[0.0, 0.0], [1.0, 1.0]])) == pytest.approx(0.5)
    assert faithfulness.coherency(L, np.ones((2, 2))) is None


def test_subsets_have_their_shares_of_the_cells():
    """A 28x42 input has 14x14 cells of 2x3 pixels, which are in a subset or not."""
    drawn = subsets.random_subsets((28, 42), np.random.default_rng(0))
    assert drawn.masks.shape == (64, 28, 42)
    cells = drawn.masks.reshape(64, 14, 2, 14, 3)
    np.testing.assert_array_equal(cells.any(axis=(2, 4)), cells.all(axis=(2, 4)))
    np.testing.assert_allclose(drawn.masks.mean(axis=(1, 2)), np.round(drawn.shares * 196) / 196)
    assert len(np.unique(drawn.masks, axis=0)) == 64


def test_replaced_subsets_and_sums():
    drawn = subsets.Subsets(np.array([[[True, False]]]), np.array([0.5]))
    x = np.array([[[1.0], [2.0]]])
    np.testing.assert_array_equal(subsets.replace_subsets(x, np.zeros_like(x), drawn.masks), [[[[0], [2]]]])
    np.testing.assert_array_equal(drawn.sums(np.array([[7.0, 9.0]])), [7])


def test_subset_metrics_of_a_linear_model():
    """A map of the true contributions predicts every lost score: correlation 1, error 0, in any unit."""
    rng = np.random.default_rng(3)
    contributions = rng.uniform(0, 1, (14, 14))
    drawn = subsets.random_subsets((14, 14), rng)
    drops = drawn.sums(contributions)
    for scale in (1, 50):
        sums = drawn.sums(scale * contributions)
        assert subsets.sensitivity_n(sums, drops, drawn.shares) == pytest.approx(1)
        assert subsets.sensitivity_n(sums, -drops, drawn.shares) == pytest.approx(-1)
        assert subsets.infidelity(sums, drops) == pytest.approx(0, abs=1e-12)


def test_infidelity_is_the_residual_of_least_squares():
    rng = np.random.default_rng(4)
    sums, drops = rng.uniform(0, 1, 30), rng.normal(0, 2, 30)
    _, (residual,), *_ = np.linalg.lstsq(sums[:, None], drops)
    assert subsets.infidelity(sums, drops) == pytest.approx(residual / 30, rel=1e-9)
    assert abs(((sums - drops) ** 2).mean() - residual / 30) > 0.1  # without the scale


def test_random_logit_and_smooth_mprt():
    rng = np.random.default_rng(5)
    L, other = rng.random((20, 20)), rng.random((20, 20))
    assert randomization.random_logit(L, L) == pytest.approx(1)
    assert randomization.random_logit(L, other) < 0.3
    assert randomization.smooth_mprt(L[None], L[None]) == pytest.approx(1)
    assert randomization.smooth_mprt(L[None], 1 - L[None]) == pytest.approx(-1)


def test_other_class_is_never_the_class():
    drawn = [randomization.other_class(2, 4, np.random.default_rng(seed)) for seed in range(200)]
    assert set(drawn) == {0, 1, 3}


def test_smooth_noise_has_a_tenth_of_the_range():
    """The last input has none."""
    x = np.zeros((40, 40, 3), np.float32)
    x[0] = 200
    noisy = randomization.add_normal_noise(x, np.random.default_rng(0))
    np.testing.assert_array_equal(noisy[-1], x)
    assert (noisy[:-1] - x).std() == pytest.approx(20, rel=0.02)


def test_relevance_accuracy_by_hand():
    """The three largest of 5, 4, 3, 1 are inside twice; 5 + 3 + 1 of 13 are inside."""
    heatmap, mask = np.array([[5.0, 4.0], [3.0, 1.0]]), np.array([[True, False], [True, True]])
    assert localization.relevance_rank_accuracy(heatmap, mask) == pytest.approx(2 / 3)
    assert localization.relevance_mass_accuracy(heatmap, mask) == pytest.approx(9 / 13)


def test_maps_of_zeros_have_no_value():
    """Never a number, and no warning of NumPy."""
    noisy, x, xs, mask = ZEROS[None], np.ones((4, 4, 3)), np.ones((1, 4, 4, 3)), ONE_PIXEL > 0
    y, shares = np.ones(3), np.repeat([0.1, 0.5], 2)
    for value in (
        *(metric(ZEROS) for metric in (complexity.entropy, complexity.gini, complexity.effective_complexity)),
        robustness.avg_sensitivity(ZEROS, noisy),
        robustness.max_sensitivity(ZEROS, noisy),
        robustness.local_lipschitz(ZEROS, noisy, x, xs),
        robustness.relative_input_stability(ZEROS, noisy, x, xs),
        robustness.relative_output_stability(ZEROS, noisy, y, y[None]),
        robustness.max_sensitivity(ONE_PIXEL, noisy[:0]),
        axiomatic.input_invariance(ZEROS, ONE_PIXEL),
        faithfulness.coherency(ZEROS, ONE_PIXEL),
        subsets.infidelity(np.zeros(4), np.ones(4)),
        subsets.sensitivity_n(np.zeros(4), np.arange(4.0), shares),
        randomization.random_logit(ZEROS, ZEROS),
        randomization.smooth_mprt(noisy, noisy),
        localization.relevance_rank_accuracy(ZEROS, mask),
        localization.relevance_rank_accuracy(ZEROS + 1, mask),
        localization.relevance_rank_accuracy(ONE_PIXEL, np.zeros_like(mask)),
        localization.relevance_mass_accuracy(ZEROS, mask),
    ):
        assert value is None
