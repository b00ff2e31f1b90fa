"""Metrics that ask the network again, against numbers worked by hand and plain programs of the papers' words."""

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics import faithfulness as f
from gradcam_cli.evaluation.metrics.imputation import impute

X = np.arange(1, 5, dtype=np.float32).reshape(2, 2, 1) * 20  # 20 40 / 60 80
L = np.array([[0.1, 1.0], [0.4, 0.0]], np.float32)


def brightness(pictures):
    """A network whose probability is the mean brightness."""
    return pictures.mean(axis=(1, 2, 3)) / 255


def test_average_drop_and_increase_by_hand():
    assert f.average_drop(0.8, 0.6) == pytest.approx(0.25)
    assert f.average_drop(0.5, 0.9) == 0
    assert f.average_drop(0.0, 0.0) == 0
    assert f.increase_in_confidence(0.5, 0.51) == 1
    assert f.increase_in_confidence(0.5, 0.5) == 0
    np.testing.assert_allclose(f.mask_by_map(X, L)[:, :, 0], [[2, 40], [24, 0]])


def test_order_by_hand():
    """From the largest value to the least, equal ones in reading order."""
    np.testing.assert_array_equal(f.pixels_by_relevance(L), [1, 2, 0, 3])
    np.testing.assert_array_equal(f.pixels_by_relevance(np.zeros((2, 2))), [0, 1, 2, 3])


def test_deletion_by_hand():
    """40, 60, 20, 80 leave in the order of the map; the area is the trapezoids' over four steps."""
    curve = f.deletion(brightness, X, L, np.zeros_like(X), steps=4)
    expected = np.array([200, 160, 100, 80, 0]) / 4 / 255
    np.testing.assert_allclose(curve.probabilities, expected, rtol=1e-6)
    assert curve.auc == pytest.approx((expected[0] / 2 + expected[1:4].sum() + expected[4] / 2) / 4)


def test_insertion_by_hand():
    """40, 60, 20, 80 come back in the order of the map."""
    curve = f.insertion(brightness, X, L, np.zeros_like(X), steps=4)
    np.testing.assert_allclose(curve.probabilities, np.array([0, 40, 100, 120, 200]) / 4 / 255, rtol=1e-6)


def test_uneven_steps():
    """Three steps over four pixels: 1, 3 and 4 are exchanged, and both ends are reached."""
    curve = f.insertion(brightness, X, L, np.zeros_like(X), steps=3)
    np.testing.assert_allclose(curve.probabilities, np.array([0, 40, 120, 200]) / 4 / 255, rtol=1e-6)


def test_the_best_and_the_worst_map():
    """For a network that adds up brightness the photo itself is the best map, and its negative the worst."""
    x = np.random.default_rng(0).uniform(0, 255, (8, 8, 1)).astype(np.float32)
    best, worst = x[:, :, 0], -x[:, :, 0]
    black = np.zeros_like(x)
    assert f.deletion(brightness, x, best, black).auc < f.deletion(brightness, x, worst, black).auc
    assert f.insertion(brightness, x, best, black).auc > f.insertion(brightness, x, worst, black).auc
    assert f.deletion(brightness, x, best, black).auc == pytest.approx(f.insertion(brightness, x, worst, black).auc)


def test_bases():
    """Mean keeps each colour's mean; blur keeps a flat picture, and nearly nothing of fine noise; black is zero."""
    x = np.random.default_rng(0).uniform(0, 255, (40, 60, 3)).astype(np.float32)
    np.testing.assert_allclose(f.DELETION_BASELINES["mean"](x)[7, 9], x.mean((0, 1)), rtol=1e-5)
    assert f.DELETION_BASELINES["blur"](x).std() < x.std() / 5
    np.testing.assert_allclose(f.DELETION_BASELINES["blur"](np.full_like(x, 77)), 77, rtol=1e-5)
    assert not f.DELETION_BASELINES["black"](x).any()


class Silent:
    """A random generator that adds no noise."""

    def normal(self, mean, deviation, shape):
        return np.zeros(shape)


def plainly(x, missing):
    """The paper's system with a full matrix: each missing pixel is the weighted mean of its eight neighbours."""
    h, w = missing.shape
    places = [(i, j) for i in range(h) for j in range(w) if missing[i, j]]
    matrix, right = np.zeros((len(places), len(places))), np.zeros((len(places), x.shape[2]))
    for row, (i, j) in enumerate(places):
        for di in (-1, 0, 1):
            for dj in (-1, 0, 1):
                if (di or dj) and 0 <= i + di < h and 0 <= j + dj < w:
                    weight = 1 / 6 if di == 0 or dj == 0 else 1 / 12
                    matrix[row, row] += weight
                    if missing[i + di, j + dj]:
                        matrix[row, places.index((i + di, j + dj))] -= weight
                    else:
                        right[row] += weight * x[i + di, j + dj]
    filled = x.copy()
    filled[missing] = np.linalg.solve(matrix, right)
    return filled


def test_imputation_is_the_papers_system():
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 255, (7, 9, 3)).astype(np.float32)
    for share in (0.1, 0.5, 0.9):
        missing = rng.random((7, 9)) < share
        np.testing.assert_allclose(impute(x, missing, Silent()), plainly(x, missing), rtol=1e-5)


def test_imputation_by_hand():
    """One missing pixel in the middle: a sixth of each neighbour beside it, a twelfth of those at its corners."""
    x = np.array([[0, 60, 0], [60, 255, 60], [120, 60, 120]], np.float32)[:, :, None]
    missing = np.zeros((3, 3), bool)
    missing[1, 1] = True
    assert impute(x, missing, Silent())[1, 1, 0] == pytest.approx(4 * 60 / 6 + 2 * 120 / 12)


def test_imputation_without_neighbours():
    """Where nothing is left there is the mean colour; where nothing is missing, the picture; noise is small."""
    x = np.random.default_rng(2).uniform(0, 255, (5, 5, 3)).astype(np.float32)
    everything = np.ones((5, 5), bool)
    np.testing.assert_allclose(impute(x, everything, Silent())[2, 3], x.mean((0, 1)), rtol=1e-5)
    np.testing.assert_array_equal(impute(x, ~everything, Silent()), x)
    big = np.full((100, 100, 3), 128, np.float32)
    noisy = impute(big, np.ones((100, 100), bool), np.random.default_rng(0))
    assert noisy.std() == pytest.approx(2.55, rel=0.05)


def test_road_of_a_network_that_sees_one_half():
    """The network looks at the left half only: a map of it scores as high as a map of the other half scores low.

    The halves are flat, so that imputing one from the other gives the other's colour everywhere.
    """
    x = np.zeros((6, 8, 1), np.float32)
    x[:, :4] = 200
    left = np.zeros((6, 8))
    left[:, :4] = 1

    def p(pictures):
        return pictures[:, :, :4].mean(axis=(1, 2, 3)) / 200

    road = f.road(p, x, left, Silent(), shares=(0.5,))
    assert road == pytest.approx((1 - 0) / 2)
    assert f.road(p, x, 1 - left, Silent(), shares=(0.5,)) == pytest.approx(-0.5)
