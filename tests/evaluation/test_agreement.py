"""Agreement of metrics: Kendall's W by hand and by scipy's Friedman test, conflicts, and comparison with baselines."""

import numpy as np
import pytest
from scipy import stats

from gradcam_cli.evaluation.agreement import agreement, baseline_lines, below_baselines, kendalls_w
from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.ranking import rank_maps


def test_kendalls_w_by_hand():
    """Rank sums 4, 6, 9, 11 with mean 7.5: S = 12.25 + 2.25 + 2.25 + 12.25 = 29, W = 12 * 29 / (3^2 * (4^3 - 4))."""
    ranks = np.array([[1, 2, 3, 4], [1, 3, 2, 4], [2, 1, 4, 3]])
    assert kendalls_w(ranks) == pytest.approx(348 / 540)


def test_kendalls_w_with_ties_by_hand():
    """Ranks 1.5, 1.5, 3 and 1, 2, 3: S = 6.5, T = 2^3 - 2 = 6, W = 12 * 6.5 / (4 * 24 - 2 * 6), not 78 / 96."""
    assert kendalls_w(np.array([[1, 1, 2], [1, 2, 3]])) == pytest.approx(78 / 84)


@pytest.mark.parametrize("seed", range(5))
def test_kendalls_w_is_that_of_the_friedman_test(seed):
    """W = chi2 / (k (n - 1)), with and without ties; scipy takes the maps as its arguments."""
    k, n = 4, 6
    ranks = np.random.default_rng(seed).integers(1, 4 if seed % 2 else 100, (k, n))
    chi2 = stats.friedmanchisquare(*ranks.T).statistic
    assert kendalls_w(ranks) == pytest.approx(chi2 / (k * (n - 1)))


def test_extreme_agreement():
    order = np.arange(5)
    assert kendalls_w(np.array([order, order, order])) == pytest.approx(1)
    assert kendalls_w(np.array([order, order[::-1]])) == pytest.approx(0)
    assert kendalls_w(np.ones((3, 4), int)) is None
    assert kendalls_w(np.ones((1, 4), int)) is None
    assert kendalls_w(np.array([[1], [1]])) is None


def ranking(values, baselines=(), metrics=("road", "insertion", "deletion"), images=12):
    """Rank maps whose values differ by the given shifts; those of `deletion` are better if lower."""
    rows = [
        MetricRow(
            {"input": str(image), "class_index": 0, "layer": "conv"},
            method,
            method in baselines,
            {name: None if v is None else image + v for name, v in zip(metrics, shifts, strict=True)},
            {},
        )
        for image in range(images)
        for method, shifts in values.items()
    ]
    return rank_maps(rows, metrics)


def test_metrics_that_agree_name_the_best_map():
    found = agreement(ranking({"gradcam": (2, 2, 1), "layercam": (1, 1, 2), "eigencam": (0, 0, 3)}))
    assert (found.w, found.maps, found.metrics, found.best) == (pytest.approx(1), 3, 3, ["gradcam"])
    assert list(found.lines()) == [
        "3 of 3 metrics separate the 3 maps; Kendall's W of their ranks: 1.00",
        "best by all 3 metrics: gradcam",
    ]


def test_metrics_that_conflict_are_undecided():
    """Ranks 1 2, 1 2 and 2 1: rank sums 4 and 5, W = 12 * 0.5 / (9 * 6)."""
    found = agreement(ranking({"gradcam": (1, 1, 1), "layercam": (0, 0, 0)}))
    assert found.w == pytest.approx(1 / 9)
    assert list(found.lines()) == [
        "3 of 3 metrics separate the 2 maps; Kendall's W of their ranks: 0.11",
        "undecided by all 3 metrics: rank 1 for no map",
        "undecided: gradcam by road, insertion; layercam by deletion",
    ]
    record = found.to_json()
    assert record["kendalls_w"] == pytest.approx(1 / 9)
    better_by = {"gradcam": ["road", "insertion"], "layercam": ["deletion"]}
    assert record["undecided"] == [{"maps": ["gradcam", "layercam"], "better_by": better_by}]
    counts = {"maps": 2, "metrics": 3, "separating": 3, "best": []}
    assert {key: record[key] for key in counts} == counts
    assert len(record) == 6


def test_metrics_that_do_not_separate_the_maps_have_no_part_in_w():
    """Two metrics agree, and the third one finds no difference: W is 1, not 0.67."""
    found = agreement(ranking({"gradcam": (1, 1, 0), "layercam": (0, 0, 0)}))
    assert (found.w, found.metrics, found.separating) == (pytest.approx(1), 3, 2)
    found = agreement(ranking({"gradcam": (1, 0, 0), "layercam": (0, 0, 0)}))
    assert next(found.lines()) == "1 of 3 metrics separates the 2 maps; Kendall's W of their ranks: undefined"


def test_equal_maps_are_undecided():
    lines = list(agreement(ranking({"gradcam": (0, 0, 0), "layercam": (0, 0, 0)})).lines())
    assert lines == [
        "0 of 3 metrics separate the 2 maps; Kendall's W of their ranks: undefined",
        "undecided by all 3 metrics: rank 1 for gradcam, layercam",
    ]


def test_only_the_first_conflicts_are_listed():
    maps = {f"m{i}": (i, i, i) for i in range(5)}
    *_, last = agreement(ranking(maps)).lines()
    assert last == "undecided: 5 further pairs of maps"


@pytest.mark.parametrize(
    "values", [{"gradcam": (1, 1, 1)}, {"gradcam": (None,) * 3, "layercam": (None,) * 3}], ids=["one", "undefined"]
)
def test_nothing_to_compare(values):
    found = agreement(ranking(values))
    assert (found.w, list(found.lines())) == (None, [])


def test_baselines_have_no_part_in_the_agreement():
    found = agreement(ranking({"gradcam": (2, 2, 2), "random": (0, 0, 9)}, ["random"]))
    assert (found.maps, found.best) == (1, ["gradcam"])


def test_a_map_below_a_baseline_is_named():
    """Worse by a metric, equal by another, better by the third."""
    (below,) = below_baselines(ranking({"gradcam": (0, 1, 0), "center": (1, 1, 1)}, ["center"]))
    assert below == ("gradcam", "center", ["road"], ["insertion"], [])
    assert list(baseline_lines([below])) == [
        "gradcam does not differ from the baseline center: insertion",
        "gradcam is worse than the baseline center: road",
    ]
    assert below_baselines(ranking({"gradcam": (2, 2, 0), "center": (1, 1, 1)}, ["center"])) == []


def test_few_images_compare_the_means():
    (below,) = below_baselines(ranking({"gradcam": (0, 1, 0), "center": (1, 1, 1)}, ["center"], images=3))
    assert list(baseline_lines([below])) == ["gradcam has a worse mean than the baseline center: road"]
