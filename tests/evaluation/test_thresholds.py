"""Thresholds: which means fail, and what the messages contain."""

import pytest

from gradcam_cli.evaluation.thresholds import MetricThreshold, check_drifts, check_means


def mean(value, method="gradcam", *, relu=True, baseline=False):
    return {"layer": "conv", "method": method, "relu": relu, "baseline": baseline, "maps": 1, "iou": value}


@pytest.mark.parametrize(
    ("kind", "value", "fails"),
    [("min", 0.49, True), ("min", 0.5, False), ("max", 0.5, False), ("max", 0.51, True), ("min", None, True)],
)
def test_a_mean_at_the_threshold_passes(kind, value, fails):
    assert MetricThreshold("--fail-under", "iou", kind, 0.5).fails(value) is fails


def test_baselines_and_maps_without_relu_are_exempt():
    threshold = MetricThreshold("--fail-under", "iou", "min", 0.5)
    exempt = [mean(0, "random", baseline=True), mean(0, relu=False)]
    assert check_means([threshold], [mean(0.6), *exempt]) == {"--fail-under iou=0.5": None}


def test_message_contains_every_failed_mean():
    threshold = MetricThreshold("--fail-above", "iou", "max", 0.5)
    results = check_means([threshold], [mean(0.75), mean(0.1, "layercam"), mean(None, "hirescam")])
    message = results["--fail-above iou=0.5"]
    assert (
        message == "iou 0.750 (gradcam at conv) is above 0.5; undefined for hirescam at conv, limit 0.5 (--fail-above)"
    )


def test_message_of_several_means():
    threshold = MetricThreshold("--fail-under", "iou", "min", 0.5)
    results = check_means([threshold], [mean(0.25), mean(0.125, "layercam")])
    expected = "iou 0.250 (gradcam at conv), 0.125 (layercam at conv) are below 0.5 (--fail-under)"
    assert results == {"--fail-under iou=0.5": expected}


def test_a_drift_above_its_threshold_fails():
    thresholds = [MetricThreshold("--max-drift", name, "max", 0.1) for name in ("rank", "ssim")]
    results = check_drifts(thresholds, {"rank": 0.25, "ssim": 0.1})
    assert results["--max-drift ssim=0.1"] is None
    assert results["--max-drift rank=0.1"] == "rank 0.2500 is above 0.1 (--max-drift)"
