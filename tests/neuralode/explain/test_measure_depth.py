"""The measurement of tools/measure_depth.py on hand-made images: peaks on ink, deletion, and standard errors."""

import measure_depth
import numpy as np
import pytest
from measure_depth import DepthArrays, deletion, digits_with_ink, maps_of, peak_on_ink, standard_errors


@pytest.fixture
def digits():
    """Two images of 4x4 pixels in 2x2 cells; ink is in cell 1 (top right) and in the cells 2 and 3 (bottom)."""
    x = np.zeros((2, 4, 4, 1), np.uint8)
    x[0, 0, 3] = 128
    x[0, 3, 0] = 127  # one below the threshold
    x[1, 2:, 1:3] = 200
    return digits_with_ink(x, np.array([0, 1]), (2, 2))


def test_cells_contain_the_nearest_pixels(digits):
    assert digits.cell_of_pixel.tolist() == [[0, 0, 1, 1]] * 2 + [[2, 2, 3, 3]] * 2
    assert digits.has_ink.tolist() == [[False, True, False, False], [False, False, True, True]]
    x = np.zeros((1, 8, 8, 1), np.uint8)
    assert digits_with_ink(x, np.array([0]), (6, 6)).cell_of_pixel[0].tolist() == [0, 1, 1, 2, 3, 4, 4, 5]


def test_peak_of_a_zero_map_is_no_hit(digits):
    assert peak_on_ink(digits, np.array([[0, 0.5, 1, 0], [0, 0, 0, 1.0]])).tolist() == [0, 1]
    assert peak_on_ink(digits, np.zeros((2, 4))).tolist() == [0, 0]


def test_deletion_by_hand(digits, monkeypatch):
    """The probability of class 0 is 1 while ink is visible. Half of four cells are two, a quarter is one."""
    monkeypatch.setattr(measure_depth, "DELETED_FRACTIONS", (0.25, 0.5))

    def predict(x):
        p = (x >= 128).any(axis=(1, 2, 3)).astype(float)
        return np.stack([p, p / 2], axis=1)

    ink_first = digits.has_ink + np.array([0.3, 0.2, 0.1, 0])
    np.testing.assert_allclose(deletion(predict, digits, ink_first), [0, 0.25])  # (0 + 0) / 2, (0.5 + 0) / 2
    np.testing.assert_allclose(deletion(predict, digits, -ink_first), [1, 0.5])


def test_maps_have_the_maximum_one_or_zero():
    a, f = np.array([[[[1.0, 2]], [[3, -1]]], [[[0, 0]], [[0, 0]]]]), np.ones((2, 2, 1, 2))
    arrays = DepthArrays(np.zeros_like(a), a, f)
    np.testing.assert_allclose(maps_of("flow", arrays), [[1, 2 / 3], [0, 0]])
    np.testing.assert_allclose(maps_of("gradcam", arrays), np.zeros((2, 2)))


def test_standard_errors_by_hand():
    """Differences of 0, 1 and 2: mean 1, standard deviation 1, standard error 1 / sqrt(3)."""
    assert standard_errors(np.array([0.0, 1, 2])) == pytest.approx(np.sqrt(3))
