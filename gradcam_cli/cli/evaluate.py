"""`gradcam evaluate INPUT...`: measure the quality of maps."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.completion import complete_classes
from gradcam_cli.cli.evaluation_options import FILES, evaluation_output_options
from gradcam_cli.cli.evaluation_output import EvaluationWriter, end_run, print_tables
from gradcam_cli.cli.metric_options import METRICS_HELP, metric_options, metrics_of
from gradcam_cli.cli.model_options import explain_config, load_classifier, model_options, rank_of_input
from gradcam_cli.cli.options import (
    before_loading,
    general_options,
    input_options,
    layer_and_method_options,
    setting_options,
    setup_logging,
    threads_option,
)
from gradcam_cli.cli.protection import check_output, protect_found
from gradcam_cli.cli.report_options import open_report, report_directory_option, report_option, written_places
from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.signals import interruptible_progress
from gradcam_cli.cli.truth_options import truth_option
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.metrics.registry import MOSAIC_PLOT, SANITY_PLOT
from gradcam_cli.evaluation.thresholds import metric_thresholds
from gradcam_cli.images.discover import expand_inputs, find_sources, no_images_error
from gradcam_cli.models.truth import TruthSource, read_truth
from gradcam_cli.output.destination import DEFAULT_OUTPUT_DIR
from gradcam_cli.pipeline.json_lines import json_line

if TYPE_CHECKING:
    from gradcam_cli.evaluation.run import EvaluationConfig

EPILOG = f"""\
Metrics (^ higher is better, v lower is better, * requires --annotations,
# on mosaics of several inputs, + computed without --metric; `gradcam metrics`
prints families and costs):
{METRICS_HELP}
Examples:
  gradcam evaluate images --method gradcam --method layercam --plots plots
  gradcam evaluate images --annotations coco.json --metric pointing-game
  gradcam evaluate images --annotations voc/ --fail-under pointing-game=0.9
  gradcam evaluate images --metric grid --method gradcam --method layercam
  gradcam evaluate images --metric family:robustness --metric family:complexity
  gradcam evaluate images --fail-above average-drop=0.8@q95
  gradcam evaluate images --sanity-check --junit-xml report.xml
  gradcam evaluate images --report -o pages    pages/index.html shows every map

Exit status:
  0    all images were evaluated, all thresholds passed
  1    some inputs failed, the others were evaluated
  2    usage error
  3    no image was evaluated
  4    a threshold of --fail-under or --fail-above failed
  130  interrupted; 143 terminated
"""

_explanation = option_group("Explanation")


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Measure the quality of maps.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, type=click.Path())
@input_options
@layer_and_method_options
@_explanation(
    "-c",
    "--class",
    "target_class",
    metavar="CLASS",
    shell_complete=complete_classes,
    help="Class index or name. [default: the annotated class, without annotations the first prediction]",
)
@setting_options(exclude=("counterfactual", "against", "gamma", "target"))
@metric_options
@truth_option("--class truth explains the true class.")
@model_options
@report_option
@report_directory_option("gradcam_evaluation")
@evaluation_output_options
@threads_option
@general_options
@click.pass_context
def evaluate(ctx: click.Context, /, **options: Any) -> int:
    """Measure the faithfulness and localization of maps.

    INPUT is an image file or a directory. Each metric is also computed for class-agnostic baselines:
    random values, a center prior and, with annotations or mosaics, a uniform map.
    """
    clock = RunClock()
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    options["metrics"] = metrics_of(options)
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    rank = rank_of_input(options["model"])
    sources = list(find_sources(inputs, skip=DEFAULT_OUTPUT_DIR, arrays=bool(options["rgb"]), rank=rank))
    if not sources:
        raise no_images_error(inputs, rank)
    protect_found(ctx, [*inputs, *(path for source in sources for path in source.paths)])
    for name in (*options["metrics"], SANITY_PLOT, MOSAIC_PLOT) if options["plots"] else ():
        check_output("--plots", options["plots"] / f"{name}.png")
    annotations = read_annotations(options["annotations"]) if options["annotations"] else None
    truth = read_truth(options["truth"]) if options["truth"] else None
    stdout, thresholds = sys.stdout, metric_thresholds(options["fail_under"], options["fail_above"])
    before_loading(ctx, options)
    from gradcam_cli.evaluation.export import write_junit
    from gradcam_cli.evaluation.mosaics.pictures import MosaicPictures
    from gradcam_cli.evaluation.run import prepare_evaluation
    from gradcam_cli.evaluation.steps import run_evaluation

    report_thresholds = [(threshold.metric, threshold.kind, threshold.value) for threshold in thresholds]
    with open_report(ctx, options, options["output"], len(sources), thresholds=report_thresholds) as report_writer:
        run = prepare_evaluation(load_classifier(options), _config(options, truth), sources, annotations)
        writer = EvaluationWriter(stdout, options["as_json"], report_writer)
        results = run_evaluation(
            run,
            sanity_check=options["sanity_check"],
            thresholds=thresholds,
            pictures=MosaicPictures() if options["plots"] and run.mosaics else None,
            draw=report_writer.images.draw if report_writer else None,
            show=interruptible_progress,
            record=writer.write,
        )
        if report_writer:
            report_writer.end_record["threshold_results"] = results.threshold_results
        if options["as_json"]:
            stdout.write(json_line(results.to_dict()) + "\n")
        else:
            print_tables(results, stdout)
        for name, save in (
            ("csv", results.save_csv),
            ("summary_csv", results.save_summary_csv),
            ("plots", results.save_plots),
            ("junit_xml", partial(write_junit, results=results)),
        ):
            if options[name]:
                save(options[name])
    return end_run(results, clock, written_places(options, *FILES))


def _config(options: dict[str, Any], truth: TruthSource | None) -> EvaluationConfig:
    from gradcam_cli.evaluation.evaluate import MetricConfig
    from gradcam_cli.evaluation.mosaics.config import MosaicConfig
    from gradcam_cli.evaluation.run import EvaluationConfig

    fields = ("metrics", "steps", "deletion_baseline", "tolerance", "seed", "also_without_relu")
    return EvaluationConfig(
        metrics=MetricConfig(**{name: options[name] for name in fields}),
        explain=explain_config(options, truth=truth),
        target_class=options["target_class"],
        class_map=options["class_map"],
        max_pixels=options["max_pixels"],
        threads=options["threads"],
        sanity_images=options["sanity_images"],
        mosaics=MosaicConfig(options["mosaics"], options["mosaic_probability"], options["seed"]),
    )
