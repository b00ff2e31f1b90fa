"""Thresholds: which means and quantiles fail, and what the messages contain."""

import pytest

from gradcam_cli.evaluation.metrics.summary import MetricRow
from gradcam_cli.evaluation.thresholds import (
    MetricThreshold,
    check_drifts,
    check_metrics,
    failures_of_image,
    parse_limit,
)


def rows(*values, method="gradcam", relu=True, baseline=False):
    return [
        MetricRow({"layer": "conv", "input": str(i)}, method, baseline, {"iou": value}, {}, relu)
        for i, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("kind", "value", "fails"),
    [("min", 0.49, True), ("min", 0.5, False), ("max", 0.5, False), ("max", 0.51, True), ("min", None, True)],
)
def test_a_mean_at_the_threshold_passes(kind, value, fails):
    assert MetricThreshold("--fail-under", "iou", kind, 0.5).fails(value) is fails


def test_baselines_and_maps_without_relu_are_exempt():
    threshold = MetricThreshold("--fail-under", "iou", "min", 0.5)
    exempt = [*rows(0, method="random", baseline=True), *rows(0, relu=False)]
    assert check_metrics([threshold], [*rows(0.5, 0.7), *exempt]) == {"--fail-under iou=0.5": None}


def test_message_contains_every_failed_mean():
    threshold = MetricThreshold("--fail-above", "iou", "max", 0.5)
    maps = [*rows(0.7, 0.8), *rows(0.1, method="layercam"), *rows(None, method="hirescam")]
    expected = "iou 0.750 (gradcam at conv) is above 0.5; undefined for hirescam at conv, limit 0.5 (--fail-above)"
    assert check_metrics([threshold], maps) == {"--fail-above iou=0.5": expected}


def test_message_of_several_means():
    threshold = MetricThreshold("--fail-under", "iou", "min", 0.5)
    results = check_metrics([threshold], [*rows(0.25), *rows(0.125, method="layercam")])
    expected = "iou 0.250 (gradcam at conv), 0.125 (layercam at conv) are below 0.5 (--fail-under)"
    assert results == {"--fail-under iou=0.5": expected}


@pytest.mark.parametrize(
    ("kind", "statistic", "expected"),
    [
        ("min", "min", 1),
        ("min", "q05", 2),  # one of twenty is 5 %
        ("min", "q04", 1),
        ("min", "q10", 3),
        ("min", "q50", 11),
        ("min", "max", 20),
        ("max", "max", 20),
        ("max", "q95", 19),
        ("max", "q96", 20),
        ("max", "q90", 18),
        ("max", "min", 1),
        ("min", "mean", 10.5),
    ],
)
def test_quantile_of_twenty_values(kind, statistic, expected):
    """A lower limit at q05 allows 5 % of the images below it, an upper limit at q95 allows 5 % above it."""
    values = [float(value) for value in range(20, 0, -1)]
    threshold = MetricThreshold("--fail-under", "iou", kind, 0, statistic)
    assert threshold.measure(values) == expected
    allowed = {"q05": 1, "q10": 2, "q95": 1, "q90": 2}.get(statistic)
    if allowed:
        at_limit = threshold._replace(value=expected)
        assert sum(map(at_limit.fails, values)) == allowed


def test_an_image_without_a_value_is_one_outside_the_limit():
    values = [None, *[0.9] * 19]
    lower = MetricThreshold("--fail-under", "iou", "min", 0.5, "min")
    assert lower.measure(values) is None
    assert lower.fails(lower.measure(values))
    assert lower._replace(statistic="q05").measure(values) == 0.9
    assert lower._replace(statistic="q04").measure(values) is None
    upper = MetricThreshold("--fail-above", "iou", "max", 0.95, "max")
    assert upper.measure(values) is None
    assert upper.measure([]) is None


def test_maps_of_mosaics_have_no_part_in_metrics_on_images():
    """They have no value of `iou`, and those of images none of `grid`."""
    mosaic = MetricRow(
        {"layer": "conv", "input": "m"}, "gradcam", False, {"iou": None, "grid": 0.7}, {}, tiles=[{"photo": "a"}]
    )
    image = rows(0.9)[0]._replace(values={"iou": 0.9, "grid": None})
    thresholds = [MetricThreshold("--fail-under", name, "min", 0.5, "min") for name in ("iou", "grid")]
    assert set(check_metrics(thresholds, [image, mosaic]).values()) == {None}


def test_messages_of_quantiles_name_the_statistic():
    threshold = MetricThreshold("--fail-under", "iou", "min", 0.5, "min")
    results = check_metrics([threshold], [*rows(0.25, 0.9), *rows(None, 0.9, method="layercam")])
    expected = (
        "min of iou 0.250 (gradcam at conv) is below 0.5; undefined for layercam at conv, limit 0.5 (--fail-under)"
    )
    assert results == {"--fail-under iou=0.5@min": expected}


def test_images_fail_with_a_failed_quantile_only():
    """Below a passed quantile is the fraction of images that it allows; a mean says nothing about one image."""
    thresholds = [MetricThreshold("--fail-under", "iou", "min", 0.5, statistic) for statistic in ("mean", "min", "q50")]
    results = check_metrics(thresholds, rows(0.1, 0.4, 0.9, 0.9))
    assert [bool(message) for message in results.values()] == [False, True, False]
    messages = failures_of_image(thresholds, results, {"iou": 0.1}, "gradcam at conv")
    assert messages == ["iou 0.1 (gradcam at conv) is below 0.5 (--fail-under)"]
    assert failures_of_image(thresholds, results, {"iou": 0.9}, "x") == []
    assert failures_of_image(thresholds, results, {"iou": None}, "x") == [
        "iou undefined for x, limit 0.5 (--fail-under)"
    ]


@pytest.mark.parametrize("text", ["iou=0.1", "iou=0.1@q05", "iou=2@min", "iou=0@max"])
def test_limits_are_printed_as_they_are_typed(text):
    assert str(parse_limit(text)) == text


@pytest.mark.parametrize("text", ["iou", "iou=", "iou=x", "iou=-1", "iou=nan", "iou=1@", "iou=1@q", "iou=1@q100", "=1"])
def test_other_texts_are_no_limits(text):
    assert parse_limit(text) is None


def test_a_drift_above_its_threshold_fails():
    thresholds = [MetricThreshold("--max-drift", name, "max", 0.1) for name in ("rank", "ssim")]
    results = check_drifts(thresholds, {"rank": 0.25, "ssim": 0.1}, {})
    assert results["--max-drift ssim=0.1"] is None
    assert results["--max-drift rank=0.1"] == "rank 0.2500 is above 0.1 (--max-drift)"


def test_quantile_of_a_drift():
    thresholds = [MetricThreshold("--max-drift", "rank", "max", 0.1, statistic) for statistic in ("q90", "max")]
    results = check_drifts(thresholds, {"rank": 0.03}, {"rank": [0.0] * 9 + [0.3]})
    assert results == {
        "--max-drift rank=0.1@q90": None,
        "--max-drift rank=0.1@max": "max of rank 0.3000 is above 0.1 (--max-drift)",
    }
