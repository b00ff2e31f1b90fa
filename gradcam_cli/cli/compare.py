"""`gradcam compare BASELINE NEW`: measure how much the maps of two runs differ."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, ModelNameOrFile, PathOrUrl, Threshold, option_group
from gradcam_cli.cli.comparison_output import print_tables, write_grid, write_report
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
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.truth_options import truth_option
from gradcam_cli.console import escape_control_chars, log, print_error, print_failed_threshold, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.comparison_export import write_comparison_csv, write_comparison_junit
from gradcam_cli.evaluation.correctness import BROKEN
from gradcam_cli.evaluation.drift import DRIFTS, Comparison, compare_runs
from gradcam_cli.evaluation.saved_truth import SavedTruth
from gradcam_cli.evaluation.thresholds import MEAN, MetricLimit, MetricThreshold, check_drifts
from gradcam_cli.models.catalog import catalog, find_spec, is_model_path
from gradcam_cli.models.labels import Labels, read_labels
from gradcam_cli.models.truth import TruthSource, read_truth
from gradcam_cli.near_matches import did_you_mean, near_file
from gradcam_cli.output.destination import FIGURE_SUFFIXES, require_suffix
from gradcam_cli.pipeline.json_lines import json_line
from gradcam_cli.storage.paths import as_path, is_url

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
    _require_fractions(options["max_drift"])
    require_suffix("--grid", options["grid"], FIGURE_SUFFIXES)
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    source = read_truth(options["truth"]) if options["truth"] else None
    if is_url(new) or Path(new).is_dir():
        labels = read_labels(options["labels"]) if options["labels"] else None
        truth = SavedTruth(source, labels) if source else None
        return _run_comparison(ctx, baseline, as_path(new), options, stdout, truth, clock)
    if not (is_model_path(new) or find_spec(new)):
        hint = near_file(new) or did_you_mean(new, catalog()) or "list models with: gradcam models"
        raise UsageError(f"NEW {new}: expected a directory of results or a model", hint)
    with tempfile.TemporaryDirectory(prefix="gradcam-") as directory:
        labels = _reexplain_baseline(ctx, baseline, Path(directory), {**options, "model": new}, source)
        truth = SavedTruth(source, labels) if source else None
        return _run_comparison(ctx, baseline, Path(directory), options, stdout, truth, clock)


def _reexplain_baseline(
    ctx: click.Context, baseline: Path, output_dir: Path, options: dict[str, Any], truth: TruthSource | None
) -> Labels:
    """Recompute the maps of the baseline with another model, and return its class names."""
    before_loading(ctx, options)
    from gradcam_cli.cli.model_options import load_classifier
    from gradcam_cli.evaluation.reexplain import load_records, reexplain
    from gradcam_cli.report.rerun import settings_as_argv

    records = load_records(baseline)
    images = {record["input"] for record in records.values()}
    protect_found(ctx, images)
    settings = settings_as_argv({**next(iter(records.values())), "preprocess": None})
    rerun_args = ["--model", str(options["model"]), *rerun_options(ctx), *settings]
    classifier = load_classifier(options)
    with progress("explaining", len(images)) as advance:
        for result in reexplain(classifier, records, output_dir, rerun_args, truth):
            if not isinstance(result, str):
                print_error(f"{result.source}: {result.error}", result.hint, result.source)
            advance(1)
            raise_if_interrupted()
    return classifier.labels


def _run_comparison(
    ctx: click.Context,
    baseline: Path,
    new: Path,
    options: dict[str, Any],
    stdout: TextIO,
    truth: SavedTruth | None,
    clock: RunClock,
) -> int:
    """Compare two directories, print and write the results, and return the exit status."""
    comparison = compare_runs(baseline, new, truth)
    thresholds = [MetricThreshold("--max-drift", name, "max", *rest) for name, *rest in options["max_drift"]]
    if any(threshold.metric == BROKEN for threshold in thresholds):
        _require_correctness(comparison)
    protect_found(ctx, (change.input for change in comparison.changes))
    if options["as_json"]:
        stdout.writelines(json_line(record) + "\n" for record in comparison.to_json())
    else:
        print_tables(comparison, stdout)
    for name in comparison.unmatched:
        log.warning("%s: in one run only", escape_control_chars(name))
    for damaged in comparison.damaged:
        print_error(damaged.error, damaged.hint)
    if options["grid"]:
        write_grid(comparison, options["grid"], options["top"])
    threshold_results = check_drifts(thresholds, comparison.drifts, comparison.values)
    if options["csv"]:
        write_comparison_csv(options["csv"], comparison)
    if options["junit_xml"]:
        write_comparison_junit(options["junit_xml"], comparison, thresholds, threshold_results)
    num_maps = len(comparison.changes) + len(comparison.unmatched) + len(comparison.damaged)
    report_thresholds = [(threshold.metric, threshold.kind, threshold.value) for threshold in thresholds]
    with open_report(ctx, options, options["output"], num_maps, thresholds=report_thresholds) as report_writer:
        if report_writer:
            report_writer.end_record["threshold_results"] = threshold_results
            write_report(comparison, report_writer)
    rest = {"damaged": len(comparison.damaged), "in one run only": len(comparison.unmatched)}
    clock.log({"map": len(comparison.changes)}, written_places(options, *FILES), rest)
    messages = [message for message in threshold_results.values() if message]
    for message in messages:
        print_failed_threshold(message)
    return 4 if messages else 1 if comparison.unmatched or comparison.damaged else 0


def _require_fractions(limits: Sequence[MetricLimit]) -> None:
    for limit in limits:
        if limit.metric == BROKEN and limit.statistic != MEAN:
            raise UsageError(
                f"--max-drift {limit}: {BROKEN} is a fraction of the images", f"{BROKEN}=0 allows no image"
            )


def _require_correctness(comparison: Comparison) -> None:
    """Check that `broken` is known: an image that only one run has, as after `--only wrong`, may be a broken one."""
    if BROKEN not in comparison.drifts:
        raise UsageError(
            "--max-drift broken: no image has a known true class in both runs",
            "run gradcam with --truth and --save npz, or give --truth here",
        )
    if missing := len(comparison.unmatched) + len(comparison.damaged):
        raise UsageError(
            f"--max-drift broken: {missing:,} maps are missing or damaged in one of the runs",
            "compare two runs over all images, without --only",
        )
