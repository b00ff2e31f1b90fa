"""The numbers of a report's plots."""

import numpy as np

from gradcam_cli.evaluation.metrics.summary import MetricRow, SanityStep
from gradcam_cli.reporting.plots import MAX_POINTS, drift_plot, evaluation_plots


def row(name, value, curve=None, *, baseline=False, method="gradcam"):
    metadata = {"input": name, "layer": "conv"}
    return MetricRow(metadata, method, baseline, {"deletion": value}, {"deletion": curve} if curve else {})


def test_points_have_the_numbers_of_their_entries():
    """Sorted by value; an image without an entry has the number 0, one without a value no point."""
    rows = [row("b.jpg", 0.75), row("a.jpg", 0.25), row("gone.jpg", 0.5), row("c.jpg", None)]
    (plot,) = evaluation_plots(rows, ["deletion"], [], ["a.jpg", "b.jpg", "c.jpg"])
    (drawn,) = plot["rows"]
    assert drawn["points"] == [(0.25, 1), (0.5, 0), (0.75, 2)]
    assert (drawn["mean"], drawn["total"]) == (0.5, 3)
    assert (plot["title"], plot["direction"]) == ("deletion", "lower")


def test_curves_are_means_with_their_area():
    """The mean of (1, 0) and (0.5, 0.5) is (0.75, 0.25), with the area 0.5; baselines come last."""
    rows = [row("a", 1.0, [1, 1], baseline=True, method="random"), row("a", 0.5, [1, 0]), row("b", 0.5, [0.5, 0.5])]
    (plot,) = evaluation_plots(rows, ["deletion"], [], ["a", "b"])
    first, second = plot["lines"]
    assert (first["label"], first["values"], first["area"]) == ("gradcam", [0.75, 0.25], 0.5)
    assert (second["label"], second["baseline"]) == ("random", True)


def test_many_points_are_thinned_and_the_extremes_remain():
    values = np.random.default_rng(0).permutation(1000) / 1000
    (plot,) = evaluation_plots([row(str(n), v) for n, v in enumerate(values)], ["deletion"], [], [])
    (drawn,) = plot["rows"]
    shown = [value for value, _ in drawn["points"]]
    assert (len(shown), drawn["total"], drawn["mean"]) == (MAX_POINTS, 1000, 0.4995)
    assert shown == sorted(shown)
    assert shown[:100] == [n / 1000 for n in range(100)]
    assert shown[-100:] == [n / 1000 for n in range(900, 1000)]


def test_sanity_check_is_a_line_over_the_layers():
    steps = [SanityStep("top", False, "conv", "gradcam", 0.9, 0.8), SanityStep("conv", True, "conv", "gradcam", 0.1, 0)]
    (plot,) = evaluation_plots([], [], steps, [])
    assert plot["ticks"] == ["top", "conv"]
    assert plot["lines"][0]["values"] == [0.9, 0.1]
    assert "from conv on" in plot["direction"]


def test_drifts_of_a_comparison_are_rows():
    drift = {"rank": 0.1, "ssim": 0.2, "top-iou": 0.3, "peak-shift": 0.4, "class-change": 1.0}
    maps = [{"run": "before", "metrics": {}}, {"run": "after", "metrics": drift}]
    (plot,) = drift_plot([{"maps": []}, {"maps": maps}])
    assert {each["label"]: each["points"] for each in plot["rows"]} == {
        name: [(value, 2)] for name, value in drift.items() if name != "class-change"
    }
    assert drift_plot([{"maps": []}]) == []
