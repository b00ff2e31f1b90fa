"""The statistics of an audit against numbers worked by hand."""

import numpy as np
import pytest

from gradcam_cli.auditing.effect import mean_effect
from gradcam_cli.auditing.exclusive import exclusive_p_value
from gradcam_cli.auditing.extent import find_extent
from gradcam_cli.auditing.patches import MIN_CONTRAST, Window, as_vectors, contrast, cut, repeats, window_sizes, windows
from gradcam_cli.images.box import Box


def test_a_patch_repeats_up_to_a_quarter_of_the_variance():
    """The exemplar (0, 4) in gray has the squared deviation 3 (4 + 4) = 24; a difference of 6 is its quarter."""
    exemplar = np.array([0, 0, 0, 4, 4, 4], np.float32)
    below_limit, beyond = exemplar.copy(), exemplar.copy()
    below_limit[0] += 5.99**0.5
    beyond[0] += 6.01**0.5
    same_shape_brighter = exemplar + 4  # the residual counts the brightness: 6 x 16 = 96 > 6
    patches = np.stack([exemplar, below_limit, beyond, same_shape_brighter])
    assert repeats(patches, patches[:1]).tolist() == [[True, True, False, False]]


def test_contrast_is_measured_within_each_channel():
    """A uniform color has none; channels with deviations 2, 0, 0 have sqrt(4 / 3)."""
    patches = np.array([[200, 10, 10, 200, 10, 10], [0, 5, 5, 4, 5, 5]], np.float32)
    assert contrast(patches) == pytest.approx([0, (4 / 3) ** 0.5])


def test_distances_are_exact_enough_for_large_patches():
    """The expansion |p|^2 + |t|^2 - 2 p t in float32 decides as the plain distance in float64 does."""
    images = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), dtype=np.uint8)
    exemplars = np.repeat(images[:3], 20, axis=0)
    share = np.linspace(0, 1, 60)[:, None, None, None]
    near = ((1 - share) * images + share * exemplars).astype(np.uint8)
    t, p = exemplars[[0, 20, 40]].astype(np.float64), near.astype(np.float64)
    energies = ((t - t.mean((1, 2), keepdims=True)) ** 2).sum((1, 2, 3))
    expected = ((p[None] - t[:, None]) ** 2).sum((2, 3, 4)) <= 0.25 * energies[:, None]
    assert 0 < expected.sum() < expected.size
    assert (contrast(as_vectors(images)) > MIN_CONTRAST).all()
    np.testing.assert_array_equal(repeats(as_vectors(near), as_vectors(exemplars[[0, 20, 40]])), expected)


def test_windows_cover_the_image_half_a_window_apart():
    """A 16th, an 8th and a 5th of the shorter side, but at least four pixels; the last window ends with the side."""
    assert window_sizes((64, 80)) == [4, 8, 12]
    assert window_sizes((32, 32)) == [4, 6]
    assert window_sizes((8, 8)) == [3]
    found = list(windows((9, 7)))
    assert len(found) == len(set(found)) == 7 * 5
    assert found[0] == Window(0, 0, 3)
    assert found[-1] == Window(6, 4, 3)
    assert {window.y for window in windows((33, 32)) if window.size == 4} == {*range(0, 30, 2), 29}


def test_a_patch_is_cut_from_the_chosen_images():
    images = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3).astype(np.uint8)
    patch = images[1, 1:3, 2:4].ravel().astype(np.float32) - 128
    np.testing.assert_array_equal(cut(images, Window(1, 2, 2), np.array([1])), [patch])


def test_exclusive_p_value():
    """Two groups of equal size and ratio 1: q = 1/2; three of three in the class: 1/8; two of three: 1/2."""
    assert exclusive_p_value(3, 10, 0, 10, ratio=1) == pytest.approx(1 / 8)
    assert exclusive_p_value(2, 10, 1, 10, ratio=1) == pytest.approx(1 / 2)
    assert exclusive_p_value(4, 100, 0, 900) == pytest.approx((500 / 1400) ** 4)
    assert exclusive_p_value(5, 10, 0, 0) == 1  # without other images nothing is exclusive


def test_natural_content_of_the_largest_ratio_is_rarely_significant():
    """Counts drawn with five times the frequency of the others have p <= 0.01 in at most 1 % of the draws."""
    rng = np.random.default_rng(0)
    in_class, in_others = rng.binomial(250, 0.1, 4000), rng.binomial(2250, 0.02, 4000)
    values = [exclusive_p_value(int(a), 250, int(b), 2250) for a, b in zip(in_class, in_others, strict=True)]
    assert np.mean(np.array(values) <= 0.01) <= 0.01 + 3 * (0.01 / 4000) ** 0.5


def test_interval_of_a_mean():
    """The mean of 1 and 3 is 2 with the standard error 1 and one degree of freedom: t = 12.706."""
    effect = mean_effect(np.array([1.0, 3]))
    assert (effect.mean, effect.high - 2, 2 - effect.low) == (
        2,
        pytest.approx(12.7062, abs=1e-4),
        pytest.approx(12.7062, abs=1e-4),
    )
    assert mean_effect(np.array([1.0])).low == -np.inf


def test_extent_is_the_connected_region_in_which_images_agree():
    """Images agree in a 2x3 block and, apart from it, in one pixel: the block that the window meets is the mark."""
    rng = np.random.default_rng(0)
    marked = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    marked[:, 2:4, 3:6] = [10, 200, 30]
    marked[:, 7, 7] = 0
    others = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    extent = find_extent(list(marked), list(others), Box(4, 3, 7, 6))
    assert extent.box == Box(3, 2, 6, 4)
    pasted = extent.paste(others[:1])
    np.testing.assert_array_equal(pasted[0, 2:4, 3:6], np.broadcast_to([10, 200, 30], (2, 3, 3)))
    assert (pasted != others[:1]).any(-1).sum() == 6


def test_without_agreement_the_window_is_the_extent():
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8))
    assert find_extent(images[:15], images[15:], Box(4, 3, 7, 6)).box == Box(4, 3, 7, 6)
