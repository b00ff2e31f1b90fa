"""Bootstrap intervals of means: coverage, closed forms, missing values, images with several maps."""

import numpy as np
import pytest
from scipy import stats

from gradcam_cli.evaluation.bootstrap import MIN_IMAGES, mean_intervals, pairwise_intervals


def mean_interval(values, **options):
    return tuple(mean_intervals(np.asarray(values, float)[:, None], **options)[0])


def coverage(interval, n, runs=1500):
    """Return how often an interval of n values of the standard normal distribution contains the true mean 0."""
    samples = np.random.default_rng(1).normal(size=(n, runs))
    low, high = interval(samples)
    return np.mean((low <= 0) & (high >= 0))


def bootstrap(samples):
    return mean_intervals(samples, resamples=1000).T


@pytest.mark.parametrize("n", [10, 20, 40])
def test_interval_covers_the_true_mean_in_95_percent(n):
    """The standard error of the measured coverage is 0.006."""
    assert coverage(bootstrap, n) == pytest.approx(0.95, abs=0.017)


def test_interval_of_few_values_is_a_little_narrow():
    """Means of resamples of six values have no values beyond the largest one."""
    assert 0.91 < coverage(bootstrap, 6) < 0.95


def test_wrong_formulas_miss_the_coverage():
    """Plain percentiles, and a normal interval without the square root of n."""

    def percentiles(samples):
        rng = np.random.default_rng(0)
        means = [samples[rng.integers(0, len(samples), len(samples))].mean(axis=0) for _ in range(1000)]
        return np.quantile(means, (0.025, 0.975), axis=0)

    def without_root(samples):
        mean, half = samples.mean(axis=0), 1.96 * samples.std(axis=0, ddof=1)
        return mean - half, mean + half

    plain = 1 - 2 * stats.t.sf(stats.norm.ppf(0.975) * np.sqrt(5 / 6), 5)  # 0.87
    assert coverage(percentiles, 6) == pytest.approx(plain, abs=0.03)
    assert coverage(without_root, 6) > 0.99


def test_interval_of_many_values_is_that_of_students_t():
    values = np.random.default_rng(2).normal(3, 2, 200)
    expected = stats.t.interval(0.95, 199, values.mean(), stats.sem(values))
    assert mean_interval(values, resamples=20_000) == pytest.approx(expected, abs=0.02)
    assert mean_interval(values, level=0.5, resamples=20_000) == pytest.approx(
        stats.t.interval(0.5, 199, values.mean(), stats.sem(values)), abs=0.02
    )


def test_missing_values_are_left_out():
    values = np.random.default_rng(3).uniform(size=30)
    with_gaps = np.insert(values, [0, 7, 30], np.nan)
    assert mean_interval(with_gaps) == mean_interval(values)
    columns = mean_intervals(np.column_stack([with_gaps, np.full(33, np.nan)]))
    assert columns[0] == pytest.approx(mean_interval(values))
    assert np.isnan(columns[1]).all()


def test_few_images_have_no_interval():
    assert np.isnan(mean_interval(np.zeros(0))).all()
    assert np.isnan(mean_interval(np.arange(MIN_IMAGES - 1.0))).all()
    low, high = mean_interval(np.arange(float(MIN_IMAGES)))
    assert 0 <= low < 2 < high <= 4
    same_image = np.zeros(20, int)
    assert np.isnan(mean_interval(np.arange(20.0), groups=same_image)).all()


def test_equal_values_have_an_interval_without_width():
    assert mean_interval(np.full(9, 0.25)) == (0.25, 0.25)


def test_images_are_resampled_as_a_whole():
    """Each value four times does not make the interval narrower; taken as images of their own, it halves."""
    values = np.random.default_rng(4).normal(size=50)
    repeated, images = np.repeat(values, 4), np.repeat([f"{i}.png" for i in range(50)], 4)
    low, high = mean_interval(values, resamples=10_000)
    assert mean_interval(repeated, groups=images, resamples=10_000) == pytest.approx((low, high), abs=0.03)
    narrow = np.subtract(*mean_interval(repeated, resamples=10_000)) / (low - high)
    assert narrow == pytest.approx(0.5, abs=0.05)


def test_seed_determines_the_interval():
    values = np.random.default_rng(5).uniform(size=12)
    assert mean_interval(values, seed=1) == mean_interval(values, seed=1)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_blocks_do_not_change_the_interval(monkeypatch):
    values = np.random.default_rng(6).uniform(size=12)
    whole = mean_interval(values)
    monkeypatch.setattr("gradcam_cli.evaluation.bootstrap._BLOCK_CELLS", 100)
    assert mean_interval(values) == whole


def test_interval_of_one_difference_is_that_of_students_t():
    values = np.random.default_rng(7).normal(size=(15, 2))
    difference = values[:, 0] - values[:, 1]
    expected = stats.t.interval(0.95, 14, difference.mean(), stats.sem(difference))
    intervals = pairwise_intervals(values, resamples=20_000)
    assert intervals[0, 1] == pytest.approx(expected, abs=0.03)
    assert intervals[1, 0] == pytest.approx([-intervals[0, 1, 1], -intervals[0, 1, 0]])
    assert np.isnan(intervals[0, 0]).all()


def test_intervals_of_all_differences_have_the_width_of_tukeys():
    """For uncorrelated columns of the variance 1: the studentized range, here of six columns and many rows."""
    normal = np.random.default_rng(8).normal(size=(500, 6))
    values = np.linalg.qr(normal - normal.mean(axis=0))[0] * np.sqrt(500)
    half = np.nanmean(np.diff(pairwise_intervals(values, resamples=10_000))) / 2
    assert half == pytest.approx(stats.studentized_range.ppf(0.95, 6, 6 * 499) / np.sqrt(500), rel=0.02)


def test_equal_differences_have_an_interval_without_width():
    values = np.random.default_rng(9).uniform(size=(9, 1)) + np.array([0.0, 0.1, 0.1])
    intervals = pairwise_intervals(values)
    assert intervals[1, 0] == pytest.approx([0.1, 0.1])
    assert intervals[1, 2].tolist() == [0, 0]


def test_pairs_are_compared_over_their_common_rows():
    values = np.random.default_rng(10).normal(size=(20, 3))
    values[10:, 1] = np.nan
    values[4:, 2] = np.nan
    intervals = pairwise_intervals(values)
    assert intervals[0, 1].mean() == pytest.approx((values[:10, 0] - values[:10, 1]).mean())
    assert np.isnan(intervals[0, 2]).all()


def test_parts_of_the_pairs_do_not_change_the_intervals(monkeypatch):
    values = np.random.default_rng(11).normal(size=(20, 5))
    whole = pairwise_intervals(values)
    monkeypatch.setattr("gradcam_cli.evaluation.bootstrap._MAX_PAIRS", 3)
    np.testing.assert_allclose(pairwise_intervals(values), whole)
