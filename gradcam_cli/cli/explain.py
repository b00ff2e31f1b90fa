"""`gradcam INPUT...`: compute and write maps."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.completion import complete_classes, complete_files
from gradcam_cli.cli.early_checks import validate_without_tensorflow
from gradcam_cli.cli.engine_options import engine_options, run_engine
from gradcam_cli.cli.explain_plan import dry_run, plan_tasks
from gradcam_cli.cli.model_options import explain_config, model_config, model_options, rank_of_input
from gradcam_cli.cli.options import (
    general_options,
    input_options,
    layer_and_method_options,
    setting_options,
    setup_logging,
    threads_option,
)
from gradcam_cli.cli.picture_options import picture_options, render_options
from gradcam_cli.cli.report_options import open_report, report_option, require_report_directory, rerun_options
from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.truth_options import truth_of, truth_options, use_expected_class
from gradcam_cli.console import progress
from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import no_images_error
from gradcam_cli.images.fit import resolved_fit
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import (
    ARTIFACT_SUFFIXES,
    DEFAULT_OUTPUT_DIR,
    Destination,
    parse_destination,
)
from gradcam_cli.output.naming import OutputFile
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.reading import read_options_of

if TYPE_CHECKING:
    from gradcam_cli.cli.console_writer import ConsoleWriter

_explanation, _output = option_group("Explanation"), option_group("Output")
MAX_COUNTED_INPUTS = 10_000
"""Inputs that are listed before the run starts; the total of longer runs is unknown until they end."""

EPILOG = """\
Examples:
  gradcam cat.jpg --layer block5_conv4            writes cat_gradcam.png
  gradcam cat.jpg --model lite0                   built in, no download
  gradcam cat.jpg --class tabby --class top3      one file per class
  gradcam photos -o maps --skip-existing          resume an interrupted run
  gradcam photos --save overlay --precision auto  several times faster
  gradcam photos --save grid -o grid.png          one figure, one row per image
  gradcam photos --report                         HTML report
  gradcam photos --truth parent --only wrong      maps of the wrong predictions
  gradcam scan.nii.gz --model net.keras           volumes, signals, films
  gradcam s3://in -o s3://out --engine ray        object storage, Ray cluster
  gradcam cat.jpg --save npz --json               arrays and a JSON line
  cat cat.jpg | gradcam - -o - > map.png          in a shell pipeline

Exit status:
  0    all inputs were processed
  1    some inputs failed; all other results were written
  2    usage error
  3    no input was processed: no model, no weights, or no readable image
  130  interrupted; 143 terminated
"""


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Compute maps; `gradcam INPUT...` runs this command.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, type=click.Path())
@input_options
@layer_and_method_options
@_explanation(
    "-c",
    "--class",
    "classes",
    multiple=True,
    default=["top"],
    metavar="CLASS",
    shell_complete=complete_classes,
    help="Class to explain: index, name, top, topN, truth with --truth, or a pattern such as '*_cat' for the group of "
    "the classes that match; repeatable. [default: top]",
)
@setting_options()
@_explanation(
    "--top",
    "top_k",
    type=click.IntRange(1),
    metavar="N",
    help="List the N classes with the highest scores. [default: 5 in JSON, none in text]",
)
@truth_options
@model_options
@_output(
    "-o",
    "--output",
    metavar="DIR|FILE|-",
    shell_complete=complete_files,
    help="Output directory, file for a single input, or - for standard output. [default: the current directory; "
    "gradcam_out/ for directories]",
)
@_output(
    "--save",
    "kinds",
    multiple=True,
    type=click.Choice(list(ARTIFACT_SUFFIXES)),
    help="Kind of output file, repeatable; montage, film and nifti show volumes, montage and film also films; "
    "overlay, heatmap and difference show images. [default: figure]",
)
@picture_options
@report_option
@_output(
    "--skip-existing",
    is_flag=True,
    help="Skip inputs whose output files exist, made from the same image, model and settings.",
)
@_output("--dry-run", is_flag=True, help="List the files that would be written, and exit.")
@threads_option
@engine_options
@general_options
@click.pass_context
def explain(ctx: click.Context, /, **options: Any) -> int:
    """Show which parts of an image contribute to the class score of a Keras image classifier.

    INPUT is an image file, a directory (searched recursively), or - for an image on standard
    input. Inputs and outputs may be URLs (s3://, gs://, az://; https:// for inputs).
    For models of signals, volumes and films, it is a WAV, NIfTI, DICOM, GIF, video, .npy or
    .npz file, or a folder with the slices of a volume or the frames of a film.
    Grad-CAM (Selvaraju et al. 2017) runs with a pretrained VGG19, with any classifier of
    keras.applications, or with your own Keras model.
    """
    clock = RunClock()
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["report"]:
        options["output"] = options["output"] or str(DEFAULT_OUTPUT_DIR)
    use_expected_class(options)
    destination = parse_destination(options["output"], options["kinds"], options["image_format"])
    require_report_directory(options, into_directory=destination.directory is not None)
    if destination.stdout and options["as_json"]:
        raise UsageError("-o - and --json exclude each other: both write to standard output")
    truth = truth_of(options, destination)
    rank = rank_of_input(options["model"])
    options["fit"] = resolved_fit(options["fit"], rank)
    inputs, planned = plan_tasks(options, destination, rank)
    first = list(itertools.islice(planned, MAX_COUNTED_INPUTS))
    if not first:
        raise no_images_error(inputs, rank)
    count = len(first) if len(first) < MAX_COUNTED_INPUTS else None
    planned = itertools.chain(first, planned)
    if options["dry_run"]:
        return dry_run(planned, as_json=options["as_json"])
    config = explain_config(options, truth=truth)
    read_options_of(config, rank)  # raises UsageError
    validate_without_tensorflow(options, destination, config, rank)
    writer = run(ctx, options, config, destination, planned, count, rank)
    writer.log_end(clock, destination.places(output.path for _, outputs in first for output in outputs))
    return writer.exit_status()


def run(
    ctx: click.Context,
    options: dict[str, Any],
    config: ExplainConfig,
    destination: Destination,
    planned: Iterable[tuple[Source, list[OutputFile]]],
    count: int | None,
    rank: int,
) -> ConsoleWriter:
    """Explain all planned inputs; return the writer, which has counted their results."""
    from gradcam_cli.cli.console_writer import ConsoleWriter
    from gradcam_cli.cli.truth_summary import TruthSummary
    from gradcam_cli.engines.explain_job import ExplainJob
    from gradcam_cli.engines.job import iter_tasks
    from gradcam_cli.pipeline.origin import local_weights_hash
    from gradcam_cli.reporting.run_records import MAX_REPORT_INPUTS

    with open_report(ctx, options, destination.directory or DEFAULT_OUTPUT_DIR, count) as report_writer:
        model = model_config(options)
        job = ExplainJob(
            model,
            config,
            destination,
            render_options(options),
            options["max_pixels"],
            rank,
            as_json=options["as_json"],
            list_predictions=options["top_k"] is not None,
            skip_existing=options["skip_existing"],
            rerun_args=rerun_options(ctx),
            weights_hash=local_weights_hash(model) if options["skip_existing"] else None,
            single_grid=destination.single_grid and count != 1,
            draw_for_report=report_writer.images.report_fields if report_writer else None,
        )
        tasks = iter_tasks(planned, report_writer.completed_inputs() if report_writer else None, MAX_REPORT_INPUTS)
        writer = ConsoleWriter(sys.stdout, report_writer, TruthSummary.of(config) if config.truth else None)
        with (
            progress("explaining", count) as advance,
            contextlib.closing(run_engine(ctx, options, tasks, job)) as results,
        ):
            try:
                for result in results:
                    writer.write(result)
                    advance(1)
                    raise_if_interrupted()
            except (KeyboardInterrupt, SystemExit):
                writer.log_interrupted()
                raise
    writer.write_truth(to_stderr=options["as_json"] or destination.stdout)
    if writer.grid_rows and destination.file:
        from gradcam_cli.pipeline.captions import model_label
        from gradcam_cli.pipeline.grids import write_grid

        write_grid(destination.file, writer.grid_rows, model_label(options["model"]), render_options(options))
    return writer
