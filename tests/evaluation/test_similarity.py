"""Similarity of two maps, against closed forms and values worked out by hand."""

import numpy as np
import pytest

from gradcam_cli.evaluation.metrics.similarity import peak_shift, rank_correlation, ssim, top_iou

RNG = np.random.default_rng(0)


def test_equal_maps_have_the_best_values():
    heatmap = RNG.uniform(size=(20, 30))
    assert rank_correlation(heatmap, heatmap) == pytest.approx(1)
    assert ssim(heatmap, heatmap) == pytest.approx(1)
    assert top_iou(heatmap, heatmap) == 1
    assert peak_shift(heatmap, heatmap) == 0


def test_rank_correlation_by_hand():
    """Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 (1 + 1 + 1 + 1) / (4 * 15) = 0.6; monotonic functions change nothing."""
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([[20.0, 10], [400, 300]])
    assert rank_correlation(a, b) == pytest.approx(0.6)
    assert rank_correlation(np.exp(a), b**3) == pytest.approx(0.6)
    assert rank_correlation(a, -a) == pytest.approx(-1)


def test_ties_get_their_mean_rank():
    """1 1 2 against 1 2 3: ranks 1.5 1.5 3 and 1 2 3, whose Pearson correlation is 1.5 / sqrt(1.5 * 2)."""
    assert rank_correlation(np.array([[1.0, 1, 2]]), np.array([[1.0, 2, 3]])) == pytest.approx(1.5 / np.sqrt(3))


def test_rank_correlation_of_constant_maps_is_one_or_zero():
    zeros, other = np.zeros((2, 2)), np.array([[1.0, 2], [3, 4]])
    assert (rank_correlation(zeros, zeros), rank_correlation(zeros, other)) == (1, 0)


def test_ssim_of_constants_by_hand():
    """Without variance only the first factor remains: (2 a b + C1) / (a^2 + b^2 + C1)."""
    a, b = np.full((30, 30), 0.2), np.full((30, 30), 0.6)
    assert ssim(a, b) == pytest.approx((2 * 0.12 + 1e-4) / (0.04 + 0.36 + 1e-4), rel=1e-6)


def test_ssim_equals_its_definition():
    """Pixel by pixel, with an explicit window: weights exp(-r^2 / (2 1.5^2)) over 11x11, mirrored at the border."""
    a, b = RNG.uniform(size=(2, 9, 12))
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    values = []
    for i, j in np.ndindex(a.shape):
        A, B = (np.pad(heatmap, 5, mode="symmetric")[i : i + 11, j : j + 11] for heatmap in (a, b))
        m_a, m_b = (window * A).sum(), (window * B).sum()
        s_aa, s_bb = (window * (A - m_a) ** 2).sum(), (window * (B - m_b) ** 2).sum()
        s_ab = (window * (A - m_a) * (B - m_b)).sum()
        numerator = (2 * m_a * m_b + 1e-4) * (2 * s_ab + 9e-4)
        values.append(numerator / ((m_a**2 + m_b**2 + 1e-4) * (s_aa + s_bb + 9e-4)))
    assert ssim(a, b) == pytest.approx(np.mean(values), rel=1e-6)


def test_top_iou_by_hand():
    """The top fifth of ten values is two: {9, 8} and {8, 1} have one of three in common."""
    a = np.arange(10.0).reshape(2, 5)
    b = np.zeros((2, 5))
    b.flat[[8, 1]] = [5, 7]
    assert top_iou(a, b) == pytest.approx(1 / 3)
    assert top_iou(a, -a) == 0


def test_peak_shift_by_hand():
    """From one corner of a 4x5 map to the opposite is the full diagonal; three pixels of its five are 0.6."""
    a, b, c = np.zeros((3, 4, 5))
    a[0, 0] = b[3, 4] = c[3, 0] = 1
    assert peak_shift(a, b) == pytest.approx(1)
    assert peak_shift(a, c) == pytest.approx(0.6)
    assert peak_shift(a, np.zeros((4, 5))) == 1
    assert peak_shift(np.zeros((4, 5)), np.zeros((4, 5))) == 0
