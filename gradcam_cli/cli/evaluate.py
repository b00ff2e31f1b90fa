"""`gradcam evaluate INPUT...`: whether to believe the maps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, PathOrUrl, Threshold, option_group
from gradcam_cli.cli.model_options import model_options
from gradcam_cli.cli.options import (
    general_options,
    input_options,
    layer_and_method_options,
    quiet_tensorflow,
    setting_options,
    setup_logging,
    threads_option,
)
from gradcam_cli.cli.report_options import open_report, report_directory_option, report_option
from gradcam_cli.console import log
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.metrics.faithfulness import DELETION_BASELINES
from gradcam_cli.evaluation.metrics.registry import FAITHFULNESS, LOCALIZATION, METRICS
from gradcam_cli.images.discover import expand_inputs, find_sources, no_images_error
from gradcam_cli.output.destination import DEFAULT_OUTPUT_DIR

_METRICS_HELP = "".join(
    f"  {name:9} {'^' if metric.higher_is_better else 'v'}  {metric.title}{' *' if metric.needs_annotations else ''}\n"
    for name, metric in METRICS.items()
)
EPILOG = f"""\
Metrics (^ more is better, v less is better, * with --annotations):
{_METRICS_HELP}
Examples:
  gradcam evaluate photos --method gradcam --method layercam --plots plots
  gradcam evaluate photos --annotations coco.json --metric pointing --metric iou
  gradcam evaluate photos --annotations voc/ --fail-under pointing=0.9
  gradcam evaluate photos --metric drop --sanity --junit report.xml
  gradcam evaluate photos --report -o pages    pages/index.html shows every map

Exit status:
  0    all inputs measured, and within the limits
  1    some inputs failed, the rest is measured
  2    wrong usage
  3    nothing could be measured
  4    a limit of --fail-under or --fail-over was missed
  130  interrupted; 143 terminated
"""

_explanation, _measurement, _output = (
    option_group("What to explain"),
    option_group("How to measure"),
    option_group("Output"),
)


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Measure how far maps can be believed.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, type=click.Path())
@input_options
@layer_and_method_options
@_explanation(
    "-c",
    "--class",
    "class_",
    metavar="CLASS",
    help="Index or name. [default: as annotated; otherwise the first prediction]",
)
@setting_options(exclude=("counterfactual",))
@_measurement("--metric", "metrics", multiple=True, type=click.Choice(list(METRICS)), help="Repeatable. [default: all]")
@_measurement(
    "--annotations",
    metavar="FILE|DIR",
    type=click.Path(exists=True, path_type=Path),
    help="Where the objects are: COCO .json, a directory of Pascal VOC .xml, or .csv of path,class,x0,y0,x1,y1.",
)
@_measurement(
    "--class-map",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The model's classes for those of the annotations: JSON, or .csv of annotated,model.",
)
@_measurement(
    "--steps", type=click.IntRange(2, 1000), default=20, show_default=True, metavar="N", help="Of each curve."
)
@_measurement(
    "--base",
    type=click.Choice(list(DELETION_BASELINES)),
    default="blur",
    show_default=True,
    help="What takes the place of deleted pixels.",
)
@_measurement(
    "--tolerance", type=click.IntRange(0), default=0, show_default=True, metavar="PIXELS", help="Of the pointing game."
)
@_measurement("--without-relu", is_flag=True, help="Measure the maps without their ReLU, too, brought to 0..1.")
@_measurement(
    "--sanity", is_flag=True, help="Make the network random, layer by layer, and see whether the maps change."
)
@_measurement(
    "--sanity-photos", type=click.IntRange(1), default=12, show_default=True, metavar="N", help="Photos for that."
)
@_measurement(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of all that is random."
)
@model_options
@report_option
@report_directory_option("gradcam_evaluation")
@_output("--csv", metavar="FILE", type=PathOrUrl(dir_okay=False), help="Write a line a map.")
@_output("--plots", metavar="DIR", type=PathOrUrl(file_okay=False), help="Draw a plot a metric.")
@_output(
    "--junit",
    metavar="FILE",
    type=PathOrUrl(dir_okay=False),
    help="Write JUnit XML: a test case a photo and a limit.",
)
@_output(
    "--fail-option_group",
    "least",
    type=Threshold(METRICS),
    multiple=True,
    help="Exit 4 where a method's mean is less, repeatable.",
)
@_output(
    "--fail-over",
    "most",
    type=Threshold(METRICS),
    multiple=True,
    help="Exit 4 where a method's mean is more, repeatable.",
)
@threads_option
@general_options
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> int:
    """Measure how far the maps of a network can be believed.

    INPUT is an image file or a directory, as for gradcam itself. Each metric is given for the maps, and beside
    them for maps that know nothing: random cells, a spot in the centre, the whole photo.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    options["metrics"] = _requested_metrics(options)
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    sources = list(find_sources(inputs, skip=DEFAULT_OUTPUT_DIR))
    if not sources:
        raise no_images_error(inputs)
    annotations = read_annotations(options["annotations"]) if options["annotations"] else None
    stdout = sys.stdout
    log.info("loading %s", options["model"])
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    from gradcam_cli.cli.evaluation_run import run_evaluation

    limits = [("min", *limit) for limit in options["least"]] + [("max", *limit) for limit in options["most"]]
    bounds = [(name, kind, value) for kind, name, value in limits]
    with open_report(ctx, options, options["output"], len(sources), thresholds=bounds) as recorder:
        return run_evaluation(options, sources, annotations, stdout, recorder)


def _requested_metrics(options: dict[str, Any]) -> list[str]:
    """Return the metrics asked for, in the table's order.

    Raises:
        UsageError: one needs annotations that are not there, or a limit is set on one that is not measured.
    """
    asked = options["metrics"] or (*FAITHFULNESS, *(LOCALIZATION if options["annotations"] else ()))
    limited = [name for name, _ in (*options["least"], *options["most"])]
    for name in (*asked, *limited):
        if METRICS[name].needs_annotations and not options["annotations"]:
            raise UsageError(f"{name}: expected --annotations, got none", "they say where the objects are")
    if options["class_map"] and not options["annotations"]:
        raise UsageError("--class-map belongs to --annotations, which is missing")
    return [name for name in METRICS if name in {*asked, *limited}]
