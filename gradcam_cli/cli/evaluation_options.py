"""Options of `gradcam evaluate` for its files and limits."""

from __future__ import annotations

from gradcam_cli.cli.click_extensions import PathOrUrl, Threshold, combine_options, option_group
from gradcam_cli.evaluation.metrics.registry import METRICS

FILES = ("csv", "summary_csv", "plots", "junit_xml")
"""Parameters that name the files of an evaluation, and the directory of its plots."""

_output = option_group("Output")

evaluation_output_options = combine_options(
    _output("--csv", metavar="FILE", type=PathOrUrl(dir_okay=False), help="Write a CSV file with one row per map."),
    _output(
        "--summary-csv",
        metavar="FILE",
        type=PathOrUrl(dir_okay=False),
        help="Write a CSV file with mean, 95 % interval and rank of each method and metric.",
    ),
    _output("--plots", metavar="DIR", type=PathOrUrl(file_okay=False), help="Write one plot per metric."),
    _output(
        "--junit-xml",
        metavar="FILE",
        type=PathOrUrl(dir_okay=False),
        help="Write JUnit XML with one test case per image and threshold.",
    ),
    _output(
        "--fail-under",
        type=Threshold(METRICS),
        multiple=True,
        help="Exit with status 4 if a method's mean is lower; with @q05 or @min, if this quantile is. Repeatable.",
    ),
    _output(
        "--fail-above",
        type=Threshold(METRICS),
        multiple=True,
        help="Exit with status 4 if a method's mean is higher; with @q95 or @max, if this quantile is. Repeatable.",
    ),
)
