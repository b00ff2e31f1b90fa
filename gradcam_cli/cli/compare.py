"""`gradcam compare BASELINE NEW`: measure how much the maps of two runs differ."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, ModelNameOrFile, PathOrUrl, Threshold, option_group
from gradcam_cli.cli.comparison_output import print_tables, write_report
from gradcam_cli.cli.hinted_parameters import HintedArgument
from gradcam_cli.cli.model_options import loading_options
from gradcam_cli.cli.options import before_loading, general_options, setup_logging
from gradcam_cli.cli.protection import protect_found
from gradcam_cli.cli.report_options import (
    open_report,
    report_directory_option,
    report_option,
    rerun_options,
    written_places,
)
from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.signals import interruptible_progress
from gradcam_cli.cli.truth_options import truth_option
from gradcam_cli.console import escape_control_chars, log, print_error, print_failed_threshold
from gradcam_cli.evaluation.compare_runs import compare_runs, results_directory
from gradcam_cli.evaluation.comparison import Comparison, drift_thresholds
from gradcam_cli.evaluation.correctness import BROKEN
from gradcam_cli.evaluation.drift import DRIFTS
from gradcam_cli.evaluation.saved_truth import saved_truth
from gradcam_cli.evaluation.thresholds import MetricThreshold, failed_messages
from gradcam_cli.models.truth import TruthSource, read_truth
from gradcam_cli.output.destination import FIGURE_SUFFIXES, require_suffix
from gradcam_cli.pipeline.json_lines import json_line

_DRIFTS_HELP = "".join(f"  {name:13} {drift.title}\n" for name, drift in DRIFTS.items())
_DRIFTS_HELP += f"  {BROKEN:13} right before and wrong after, fraction of images (--truth)\n"
EPILOG = f"""\
Drift measures (0: nothing changed):
{_DRIFTS_HELP}
Examples:
  gradcam images --save npz -o before             maps of the current network
  gradcam images --save npz -o after --model new.keras
  gradcam compare before after --grid drift.png   the maps that changed most
  gradcam compare before after --report           all maps side by side
  gradcam compare before after --max-drift rank=0.1 --max-drift class-change=0
  gradcam compare before after --max-drift rank=0.3@q95    5 % of the maps may
  gradcam compare before after --max-drift broken=0    no image gets wrong
  gradcam compare before new.keras                the same images, new model

Exit status:
  0    compared, all thresholds passed
  1    compared, but some maps are damaged or missing in one of the runs
  2    usage error, or maps of different layers, methods or scores
  3    nothing to compare
  4    a threshold of --max-drift failed
"""

FILES = ("grid", "csv", "junit_xml")
"""Parameters that name the files of a comparison."""
_metrics, _output = option_group("Metrics"), option_group("Output")


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Measure how much the maps of two runs differ.")
@click.argument("baseline", cls=HintedArgument, type=PathOrUrl(exists=True, file_okay=False))
@click.argument("new", type=ModelNameOrFile())
@_metrics(
    "--max-drift",
    type=Threshold([*DRIFTS, BROKEN]),
    multiple=True,
    help="Exit with status 4 if the mean drift is larger; with @q95 or @max, if this quantile is. Repeatable.",
)
@truth_option("Images are then mended, broken or neither.")
@report_option
@report_directory_option("gradcam_comparison")
@_output(
    "--grid",
    metavar="FILE",
    type=PathOrUrl(dir_okay=False),
    help="Write a PNG or JPEG of the maps with the largest rank drift.",
)
@_output("--csv", metavar="FILE", type=PathOrUrl(dir_okay=False), help="Write a CSV file with one row per map.")
@_output(
    "--junit-xml",
    metavar="FILE",
    type=PathOrUrl(dir_okay=False),
    help="Write JUnit XML with one test case per image and threshold.",
)
@_output("--top", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="Number of maps in the grid.")
@loading_options
@general_options
@click.pass_context
def compare(ctx: click.Context, /, baseline: Path, new: str, **options: Any) -> int:
    """Compare the maps of two runs over the same images.

    BASELINE and NEW are output directories of gradcam with --save npz. If NEW is a model, it explains the images of
    BASELINE with the same settings. The command prints the maps whose class changed, and the drift of all maps.
    """
    clock = RunClock()
    thresholds = drift_thresholds(options["max_drift"], "--max-drift")
    require_suffix("--grid", options["grid"], FIGURE_SUFFIXES)
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    truth = read_truth(options["truth"]) if options["truth"] else None
    if directory := results_directory(new, "NEW"):
        comparison = compare_runs(baseline, directory, saved_truth(truth, options["labels"]))
    else:
        comparison = _compare_with_model(ctx, baseline, {**options, "model": new}, truth)
    return _end(ctx, comparison, thresholds, options, stdout, clock)


def _compare_with_model(
    ctx: click.Context, baseline: Path, options: dict[str, Any], truth: TruthSource | None
) -> Comparison:
    """Recompute the maps of the baseline with another model, and compare them."""
    before_loading(ctx, options)
    from gradcam_cli.cli.model_options import load_classifier
    from gradcam_cli.evaluation.compare import compare_with_model
    from gradcam_cli.evaluation.reexplain import load_records
    from gradcam_cli.reporting.rerun import settings_as_argv

    records = load_records(baseline)
    protect_found(ctx, {record["input"] for record in records.values()})
    settings = settings_as_argv({**next(iter(records.values())), "preprocess": None})
    rerun_args = ["--model", str(options["model"]), *rerun_options(ctx), *settings]
    return compare_with_model(
        baseline,
        records,
        load_classifier(options),
        truth,
        rerun_args,
        show=interruptible_progress,
        on_failure=lambda each: print_error(f"{each.source}: {each.error}", each.hint, each.source),
    )


def _end(
    ctx: click.Context,
    comparison: Comparison,
    thresholds: Sequence[MetricThreshold],
    options: dict[str, Any],
    stdout: TextIO,
    clock: RunClock,
) -> int:
    """Print and write a comparison, and return the exit status."""
    threshold_results = comparison.check_thresholds(thresholds)
    protect_found(ctx, (change.input for change in comparison.changes))
    if options["as_json"]:
        stdout.writelines(json_line(each.to_dict()) + "\n" for each in (*comparison, comparison))
    else:
        print_tables(comparison, stdout)
    for name in comparison.unmatched:
        log.warning("%s: in one run only", escape_control_chars(name))
    for damaged in comparison.damaged:
        print_error(damaged.error, damaged.hint)
    if options["grid"]:
        comparison.save_grid(options["grid"], options["top"])
    if options["csv"]:
        comparison.save_csv(options["csv"])
    if options["junit_xml"]:
        from gradcam_cli.evaluation.comparison_export import write_comparison_junit

        write_comparison_junit(options["junit_xml"], comparison, thresholds, threshold_results)
    num_maps = len(comparison.changes) + len(comparison.not_compared)
    report_thresholds = [(threshold.metric, threshold.kind, threshold.value) for threshold in thresholds]
    with open_report(ctx, options, options["output"], num_maps, thresholds=report_thresholds) as report_writer:
        if report_writer:
            report_writer.end_record["threshold_results"] = threshold_results
            write_report(comparison, report_writer)
    rest = {"damaged": len(comparison.damaged), "in one run only": len(comparison.unmatched)}
    clock.log({"map": len(comparison.changes)}, written_places(options, *FILES), rest)
    messages = failed_messages(threshold_results)
    for message in messages:
        print_failed_threshold(message)
    return 4 if messages else 1 if comparison.not_compared else 0
