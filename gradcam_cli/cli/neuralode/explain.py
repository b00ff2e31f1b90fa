"""`gradcam neuralode explain`: maps along the depth t of an ODE."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.completion import complete_classes, complete_colormaps, complete_files
from gradcam_cli.cli.model_options import (
    labels_option,
    model_config,
    preprocess_option,
    trust_options,
)
from gradcam_cli.cli.neuralode.depth_files import ARTIFACT_SUFFIXES, destination_of, is_file_target, plan_files
from gradcam_cli.cli.options import before_loading, general_options, input_options, setting_option, setup_logging
from gradcam_cli.cli.picture_options import render_options
from gradcam_cli.cli.report_options import RERUN_OPTIONS, open_report, report_option, require_report_directory
from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.console import escape_control_chars, log, print_error, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import expand_inputs, no_images_error
from gradcam_cli.images.fit import IMAGE_FITS
from gradcam_cli.methods.registry import DEPTH_METHODS
from gradcam_cli.models.class_selection import expand_top_n
from gradcam_cli.neuralode.explain.config import DEFAULT_METHOD, DEFAULT_RENDER, DEFAULT_TOL, DepthConfig
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.output.destination import DEFAULT_OUTPUT_DIR
from gradcam_cli.storage.paths import as_path

if TYPE_CHECKING:
    from gradcam_cli.neuralode.explain.run import DepthResult
    from gradcam_cli.reporting.writer import ReportWriter

RERUN_DEPTH_OPTIONS = (*RERUN_OPTIONS, "times", "num_times", "block", "target_class", "method", "solver", "tol")
"""The options that a command to recompute the maps must contain."""
_explanation, _output = option_group("Explanation"), option_group("Output")

EPILOG = """\
Examples:
  gradcam neuralode explain 7.png --model net.keras                  five depths
  gradcam neuralode explain 7.png --model net.keras --times 0,0.5,1
  gradcam neuralode explain digits/ --model net.keras --num-times 30 --save gif
  gradcam neuralode explain 7.png --model net.keras --method gradcam --json
"""


class FloatList(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """Numbers separated by commas: `0,0.5,1`."""

    name = "t,t,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        """Return the numbers."""
        try:
            return [float(part) for part in str(value).split(",")]
        except ValueError as error:
            raise UsageError(f"--times {value}: expected depths such as 0,0.25,0.5,0.75,1") from error


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Draw maps along the depth t of an ODE.")
@click.argument("inputs", metavar="IMAGE...", nargs=-1, type=click.Path())
@input_options
@setting_option("max_value")
@_explanation(
    "-m",
    "--model",
    required=True,
    metavar="FILE",
    shell_complete=complete_files,
    help="A .keras file with an ODEBlock.",
)
@labels_option
@preprocess_option
@trust_options
@_explanation(
    "--times", type=FloatList(), metavar="T,T,...", help="Depths t of the maps. [default: five, evenly spaced]"
)
@_explanation("--num-times", type=click.IntRange(2), metavar="N", help="Number of evenly spaced depths.")
@_explanation("--block", metavar="NAME", help="Name of the ODEBlock; required if the model has several.")
@_explanation(
    "-c",
    "--class",
    "target_class",
    default="top",
    show_default=True,
    metavar="CLASS",
    shell_complete=complete_classes,
    help="Class to explain: index, name or top.",
)
@_explanation(
    "--method",
    type=click.Choice(DEPTH_METHODS),
    default=DEFAULT_METHOD,
    metavar="NAME",
    help="Attribution method; flow: |a(t) f(t, z)| per cell, the contribution of the layer at depth t; others: "
    + ", ".join(name for name in DEPTH_METHODS if name != "flow")
    + f". [default: {DEFAULT_METHOD}]",
)
@_explanation(
    "--fit",
    type=click.Choice(IMAGE_FITS),
    default="squash",
    show_default=True,
    help="Squash the image to the model input, crop its center, or pad it with bars.",
)
@_explanation(
    "--solver",
    type=click.Choice(list(SOLVERS)),
    help="Solver of the forward and backward solve. [default: the model's]",
)
@_explanation(
    "--tol",
    type=click.FloatRange(0, min_open=True),
    default=DEFAULT_TOL,
    show_default=True,
    metavar="X",
    help="Relative and absolute tolerance of both solves.",
)
@_output(
    "-o",
    "--output",
    metavar="DIR|FILE",
    shell_complete=complete_files,
    help="Output directory, or file for a single image. [default: the current directory; gradcam_out/ for directories]",
)
@report_option
@_output(
    "--save",
    "kinds",
    multiple=True,
    type=click.Choice(list(ARTIFACT_SUFFIXES)),
    help="Kind of file, repeatable. [default: figure]",
)
@_output(
    "--opacity",
    "--alpha",
    "opacity",
    type=click.FloatRange(0, 1),
    default=DEFAULT_RENDER.opacity,
    show_default=True,
    metavar="X",
    help="Opacity of the largest value of all maps; smaller values are more transparent.",
)
@_output(
    "--cmap",
    default=DEFAULT_RENDER.cmap,
    show_default=True,
    metavar="NAME",
    shell_complete=complete_colormaps,
    help="Name of a matplotlib colormap.",
)
@general_options
@click.pass_context
def explain(ctx: click.Context, /, **options: Any) -> int:
    """Draw maps along the depth t of a network with an ODEBlock.

    A single backward solve provides the adjoint a(t) = dy_c/dz(t), and thus a map for every t. The default method shows
    where the layer at depth t, dz/dt = f(t, z), changes the class score: |a(t) f(t, z)|. CAM methods use z(t) and a(t)
    as activations and gradient.

    The figure shows the maps with one color scale. Below them are the probability of the class if the layers after the
    ODE are applied to z(t), and the norm of a(t), the sensitivity of the score to the state at depth t.
    """
    clock = RunClock()
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["times"] and options["num_times"]:
        raise UsageError("--times and --num-times exclude each other")
    if len(expand_top_n([options["target_class"]])) > 1:
        raise UsageError(f"--class {options['target_class']}: expected one class")
    if options["report"]:
        options["output"] = options["output"] or str(DEFAULT_OUTPUT_DIR)
        require_report_directory(options, into_directory=not is_file_target(as_path(options["output"])))
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    tasks = list(plan_files(inputs, options["output"], options["kinds"]))
    if not tasks:
        raise no_images_error(inputs)
    stdout = sys.stdout
    before_loading(ctx, options)
    from gradcam_cli.neuralode.explain.run import prepare

    destination = destination_of(options["output"])
    run = prepare(_depth_config(options), destination.root_of)
    directory, counts = as_path(options["output"] or DEFAULT_OUTPUT_DIR), Counter[str]()
    with (
        open_report(ctx, options, directory, len(tasks), rerun_options=RERUN_DEPTH_OPTIONS) as report,
        progress("explaining", len(tasks)) as advance,
    ):
        for result in run.explain(tasks, report.images.draw if report else None):
            if report:
                report.write(_report_record(result, report))
            _print_result(result, stdout, as_json=options["as_json"])
            counts[result.record["status"]] += 1
            counts["maps"] += len(result.explanations)
            advance(1)
            raise_if_interrupted()
    places = destination.places(path for _, files in tasks for path in files.values())
    clock.log({"image": counts["ok"], "map": counts["maps"]}, places, {"failed": counts["failed"]})
    return 0 if not counts["failed"] else 1 if counts["ok"] else 3


def _depth_config(options: dict[str, Any]) -> DepthConfig:
    names = {field.name for field in fields(DepthConfig)} & set(options) - {"model"}
    return DepthConfig(
        model=model_config({**options, "offline": True}),
        render=render_options(options),
        **{name: options[name] for name in names},
    )


def _print_result(result: DepthResult, stdout: TextIO, *, as_json: bool) -> None:
    """Print the result of an image to standard output, errors and warnings to standard error."""
    record, source = result.record, escape_control_chars(result.record["input"])
    if record["error"]:
        print_error(f"{record['input']}: {record['error']}", record["hint"], record["input"])
    for explanation in result.explanations:
        if explanation.zero_reason:
            log.warning("%s: the map at %s is zero everywhere: %s", source, explanation.layer, explanation.zero_reason)
    if as_json:
        stdout.write(json.dumps(record, allow_nan=False) + "\n")
    elif result.explanations:
        prediction = result.explanations[0].prediction
        files = ", ".join(record["outputs"].values())
        line = f"{record['input']}: {prediction} ({prediction.probability:.3f}) -> {files}"
        stdout.write(escape_control_chars(line) + "\n")
    stdout.flush()


def _report_record(result: DepthResult, report: ReportWriter) -> dict[str, Any]:
    """Return the record of an image with the names of its images in the report."""
    if not result.explanations:
        return result.record
    map_images = [drawn["map_image"] for drawn in result.drawn]
    files = report.images.relative_paths(result.record["outputs"])
    levels = [drawn["levels"] for drawn in result.drawn]
    report_fields = {**result.drawn[0], "map_images": map_images, "all_levels": levels, "files": files}
    return {**result.record, "report": {key: value for key, value in report_fields.items() if key != "levels"}}
