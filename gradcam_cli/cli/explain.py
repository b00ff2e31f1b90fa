"""`gradcam INPUT...`: the main job."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.engine_options import engine_options, run_engine
from gradcam_cli.cli.options import (
    general_options,
    input_options,
    layer_and_method_options,
    map_options,
    model_options,
    setup_logging,
    speed_options,
)
from gradcam_cli.cli.report_options import open_report, report_option, require_report_directory
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.console import escape_control_chars, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import expand_inputs, find_sources, no_images_error
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import map_keys, require_counterfactual
from gradcam_cli.models.catalog import find_spec, is_model_path
from gradcam_cli.models.class_selection import expand_top_n, resolve_classes
from gradcam_cli.models.labels import spec_labels
from gradcam_cli.models.preprocessing import resolve_preprocess
from gradcam_cli.output.destination import (
    ARTIFACT_SUFFIXES,
    DEFAULT_OUTPUT_DIR,
    FORMATS,
    IMAGE_SUFFIXES,
    Destination,
    parse_destination,
)
from gradcam_cli.output.naming import OutputFile, paths_by_map, plan_outputs

_explanation, _output = option_group("What to explain"), option_group("Output")
MAX_COUNTED_INPUTS = 10_000
"""Inputs that are found before the run begins; of more the number is not known."""

EPILOG = """\
Examples:
  gradcam cat.jpg --layer block5_conv4            cat_gradcam.png beside you
  gradcam cat.jpg --model mini                    built in: no weights to fetch
  gradcam cat.jpg --class tabby --class top3      a file for each class
  gradcam photos -o maps --skip-existing          resumed where it stopped
  gradcam photos --save overlay --precision auto  several times faster
  gradcam photos --save panel -o sheet.png        one sheet, a row a photo
  gradcam photos --report                         a gallery to open in a browser
  gradcam s3://in -o s3://out --engine ray        object storage, on a cluster
  gradcam cat.jpg --save npz --json               arrays, and a JSON line
  cat cat.jpg | gradcam - -o - > map.png          in a pipe

Exit status:
  0    all inputs done
  1    some inputs failed, the rest is written
  2    wrong usage
  3    nothing could be done: no model, no weights, no readable input
  130  interrupted; 143 terminated
"""


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Make maps: what `gradcam INPUT...` does.")
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
    help="Index, name, top or topN, repeatable. [default: top]",
)
@_explanation("--counterfactual", is_flag=True, help="Negate the gradients: what speaks against the class.")
@map_options
@_explanation(
    "--top",
    type=click.IntRange(1),
    metavar="N",
    help="List the N largest predictions. [default: 5 in JSON, none in text]",
)
@model_options
@_output(
    "-o",
    "--output",
    metavar="DIR|FILE|-",
    help="Where to: a directory, a file for one input, or - for standard output. [here; gradcam_out/ for directories]",
)
@_output(
    "--save",
    "kinds",
    multiple=True,
    type=click.Choice(list(ARTIFACT_SUFFIXES)),
    help="What is written, repeatable. [default: figure]",
)
@_output(
    "--alpha",
    metavar="X",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="How strongly the map covers the photo.",
)
@_output("--cmap", default="jet", show_default=True, metavar="NAME", help="Any colour map of matplotlib.")
@_output(
    "--dpi",
    metavar="N",
    type=click.IntRange(20, 2400),
    default=150,
    show_default=True,
    help="Dots an inch of the figure.",
)
@_output(
    "--save-format", type=click.Choice(list(FORMATS)), help="Format of pictures. [default: png, or as -o FILE says]"
)
@report_option
@_output("--skip-existing", is_flag=True, help="Leave out inputs whose files are all there.")
@_output("--dry-run", is_flag=True, help="Say what would be written, and do nothing.")
@speed_options
@engine_options
@general_options
@click.pass_context
def explain(ctx: click.Context, /, **options: Any) -> int:
    """Show which parts of an image made a convolutional network choose a class.

    INPUT is an image file, a directory (searched through and through), or - for an image on
    standard input; files and directories, of -o too, may be URLs (s3://, gs://, az://; https:// to read).
    Grad-CAM (Selvaraju et al. 2017) with a pretrained VGG19, any classifier of
    keras.applications, or a Keras model of your own.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["report"]:
        options["output"] = options["output"] or str(DEFAULT_OUTPUT_DIR)
    destination = parse_destination(options["output"], options["kinds"], options["save_format"])
    require_report_directory(options, into_directory=destination.directory is not None)
    if destination.stdout and options["as_json"]:
        raise UsageError("-o - and --json: both would write to standard output")
    inputs, jobs = plan_tasks(options, destination)
    first = list(itertools.islice(jobs, MAX_COUNTED_INPUTS))
    if not first:
        raise no_images_error(inputs)
    count = len(first) if len(first) < MAX_COUNTED_INPUTS else None
    jobs = itertools.chain(first, jobs)
    if options["dry_run"]:
        return dry_run(jobs, as_json=options["as_json"])
    validate_without_tensorflow(options, destination)
    from gradcam_cli.cli.console_writer import ConsoleWriter
    from gradcam_cli.cli.explain_job import ExplainJob, iter_tasks

    own = {name: value for name, value in options.items() if name not in ("inputs", "files_from")}
    with open_report(ctx, options, destination.directory or DEFAULT_OUTPUT_DIR, count) as recorder:
        work = ExplainJob(
            own, destination, destination.single_grid and count != 1, recorder.images if recorder else None
        )
        told = recorder.completed_inputs() if recorder else None
        teller = ConsoleWriter(sys.stdout, options, destination, recorder)
        with (
            progress("explaining", count) as advance,
            contextlib.closing(run_engine(ctx, options, iter_tasks(jobs, told), work)) as finished,
        ):
            try:
                for one in finished:
                    teller.write(one)
                    advance(1)
                    raise_if_interrupted()
            except (KeyboardInterrupt, SystemExit):
                teller.log_interrupted()
                raise
    teller.close()
    return teller.exit_status()


def plan_tasks(
    options: dict[str, Any], destination: Destination
) -> tuple[Sequence[str], Iterator[tuple[Source, list[OutputFile]]]]:
    """Return the inputs, and find the images among them one after the other, each with a file for every map.

    Raises:
        UsageError: there is no input, or the outputs cannot be named so.
    """
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    layers, methods = list(dict.fromkeys(options["layers"])), list(dict.fromkeys(options["methods"]))
    maps = map_keys(layers, methods, expand_top_n(options["classes"]))
    sources = find_sources(inputs, skip=destination.directory or DEFAULT_OUTPUT_DIR)
    return inputs, plan_outputs(sources, destination, maps, inputs)


def dry_run(planned: Iterable[tuple[Source, list[OutputFile]]], *, as_json: bool) -> int:
    """Say for each input what would be written."""
    from gradcam_cli.images.load import Skipped
    from gradcam_cli.pipeline.json_lines import to_json

    for source, outputs in planned:
        if as_json:
            for paths in paths_by_map(outputs):
                click.echo(json.dumps({**to_json(Skipped(source.name), paths), "status": "planned"}))
        else:
            click.echo(
                f"{escape_control_chars(source.name)} -> {escape_control_chars(', '.join(str(output.path) for output in outputs))}"
            )
    return 0


def validate_without_tensorflow(options: dict[str, Any], destination: Destination) -> None:
    """Find mistakes that need no TensorFlow before it is loaded."""
    if any(ARTIFACT_SUFFIXES[kind] is IMAGE_SUFFIXES for kind in destination.artifact_kinds):
        from gradcam_cli.output.figures import color_table

        color_table(options["cmap"])
    if options["counterfactual"]:
        require_counterfactual(options["methods"])
    if options["preprocess"]:
        resolve_preprocess(options["preprocess"])
    application = find_spec(options["model"])
    if application and not options["labels"] and not is_model_path(options["model"]):
        names = spec_labels(application)
        resolve_classes(options["classes"], names, len(names.names))
