"""Faithfulness metrics against values worked out by hand and direct implementations of the papers."""

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics import faithfulness as f
from gradcam_cli.evaluation.metrics.imputation import impute

X = np.arange(1, 5, dtype=np.float32).reshape(2, 2, 1) * 20  # 20 40 / 60 80
L = np.array([[0.1, 1.0], [0.4, 0.0]], np.float32)


def brightness(inputs):
    """A network whose probability is the mean brightness."""
    return inputs.mean(axis=(1, 2, 3)) / 255


def test_average_drop_and_increase_by_hand():
    assert f.average_drop(0.8, 0.6) == pytest.approx(0.25)
    assert f.average_drop(0.5, 0.9) == 0
    assert f.average_drop(0.0, 0.0) == 0
    assert f.increase_in_confidence(0.5, 0.51) == 1
    assert f.increase_in_confidence(0.5, 0.5) == 0
    np.testing.assert_allclose(f.mask_by_map(X, L)[:, :, 0], [[2, 40], [24, 0]])


def test_pixels_by_relevance_by_hand():
    """By descending value, equal values in reading order."""
    np.testing.assert_array_equal(f.pixels_by_relevance(L), [1, 2, 0, 3])
    np.testing.assert_array_equal(f.pixels_by_relevance(np.zeros((2, 2))), [0, 1, 2, 3])


def test_deletion_by_hand():
    """40, 60, 20, 80 are deleted in this order; the area is that of four trapezoids."""
    curve = f.deletion(brightness, X, L, np.zeros_like(X), steps=4)
    expected = np.array([200, 160, 100, 80, 0]) / 4 / 255
    np.testing.assert_allclose(curve.probabilities, expected, rtol=1e-6)
    assert curve.auc == pytest.approx((expected[0] / 2 + expected[1:4].sum() + expected[4] / 2) / 4)


def test_insertion_by_hand():
    """40, 60, 20, 80 are inserted in this order."""
    curve = f.insertion(brightness, X, L, np.zeros_like(X), steps=4)
    np.testing.assert_allclose(curve.probabilities, np.array([0, 40, 100, 120, 200]) / 4 / 255, rtol=1e-6)


def test_uneven_steps_replace_all_pixels():
    """Three steps over four pixels replace 1, 3 and 4 of them."""
    curve = f.insertion(brightness, X, L, np.zeros_like(X), steps=3)
    np.testing.assert_allclose(curve.probabilities, np.array([0, 40, 120, 200]) / 4 / 255, rtol=1e-6)


def test_image_is_the_best_map_of_its_own_brightness():
    """If the probability is the brightness, the image itself is the best map, and its negative the worst."""
    x = np.random.default_rng(0).uniform(0, 255, (8, 8, 1)).astype(np.float32)
    best, worst = x[:, :, 0], -x[:, :, 0]
    black = np.zeros_like(x)
    assert f.deletion(brightness, x, best, black).auc < f.deletion(brightness, x, worst, black).auc
    assert f.insertion(brightness, x, best, black).auc > f.insertion(brightness, x, worst, black).auc
    assert f.deletion(brightness, x, best, black).auc == pytest.approx(f.insertion(brightness, x, worst, black).auc)


def test_deletion_baselines_by_hand():
    """Mean is the mean color; blur keeps a uniform input and removes fine noise; black is zero."""
    x = np.random.default_rng(0).uniform(0, 255, (40, 60, 3)).astype(np.float32)
    np.testing.assert_allclose(f.DELETION_BASELINES["mean"](x)[7, 9], x.mean((0, 1)), rtol=1e-5)
    assert f.DELETION_BASELINES["blur"](x).std() < x.std() / 5
    np.testing.assert_allclose(f.DELETION_BASELINES["blur"](np.full_like(x, 77)), 77, rtol=1e-5)
    assert not f.DELETION_BASELINES["black"](x).any()


class NoNoise:
    """A random generator that returns zeros."""

    def normal(self, mean, deviation, shape):
        return np.zeros(shape)


def impute_dense(x, missing):
    """The paper's system with a dense matrix: each missing pixel is the weighted mean of its eight neighbors."""
    h, w = missing.shape
    pixels = [(i, j) for i in range(h) for j in range(w) if missing[i, j]]
    matrix, rhs = np.zeros((len(pixels), len(pixels))), np.zeros((len(pixels), x.shape[2]))
    for row, (i, j) in enumerate(pixels):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                if (di or dj) and 0 <= i + di < h and 0 <= j + dj < w:
                    weight = 1 / 6 if di == 0 or dj == 0 else 1 / 12
                    matrix[row, row] += weight
                    if missing[i + di, j + dj]:
                        matrix[row, pixels.index((i + di, j + dj))] -= weight
                    else:
                        rhs[row] += weight * x[i + di, j + dj]
    filled = x.copy()
    filled[missing] = np.linalg.solve(matrix, rhs)
    return filled


def test_imputation_solves_the_papers_system():
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 255, (7, 9, 3)).astype(np.float32)
    for share in (0.1, 0.5, 0.9):
        missing = rng.random((7, 9)) < share
        np.testing.assert_allclose(impute(x, missing, NoNoise()), impute_dense(x, missing), rtol=1e-5)


def test_imputation_by_hand():
    """One missing pixel in the center: a sixth of each direct neighbor, a twelfth of each diagonal neighbor."""
    x = np.array([[0, 60, 0], [60, 255, 60], [120, 60, 120]], np.float32)[:, :, None]
    missing = np.zeros((3, 3), bool)
    missing[1, 1] = True
    assert impute(x, missing, NoNoise())[1, 1, 0] == pytest.approx(4 * 60 / 6 + 2 * 120 / 12)


def test_imputation_of_all_or_no_pixels():
    """The mean color if all pixels are missing; the input itself if none is; the noise is small."""
    x = np.random.default_rng(2).uniform(0, 255, (5, 5, 3)).astype(np.float32)
    all_pixels = np.ones((5, 5), bool)
    np.testing.assert_allclose(impute(x, all_pixels, NoNoise())[2, 3], x.mean((0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(impute(x, ~all_pixels, NoNoise()), x)
    gray = np.full((100, 100, 3), 128, np.float32)
    noisy = impute(gray, np.ones((100, 100), bool), np.random.default_rng(0))
    assert noisy.std() == pytest.approx(2.55, rel=0.05)


def test_road_of_a_network_that_uses_one_half():
    """A map of the half that the network uses scores 1/2, a map of the other half -1/2.

    The halves are uniform: imputing one from the other gives the other's color everywhere.
    """
    x = np.zeros((6, 8, 1), np.float32)
    x[:, :4] = 200
    left = np.zeros((6, 8))
    left[:, :4] = 1

    def p(inputs):
        return inputs[:, :, :4].mean(axis=(1, 2, 3)) / 200

    road = f.road(p, x, left, NoNoise(), shares=(0.5,))
    assert road == pytest.approx((1 - 0) / 2)
    assert f.road(p, x, 1 - left, NoNoise(), shares=(0.5,)) == pytest.approx(-0.5)
