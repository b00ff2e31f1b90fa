"""`gradcam INPUT...`: the main job."""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, under
from gradcam_cli.cli.engine_options import engine_options, run_engine
from gradcam_cli.cli.options import (
    input_options,
    layer_and_method_options,
    map_options,
    message_options,
    model_options,
    speed_options,
    start,
)
from gradcam_cli.cli.report_options import check_report, open_report, report_option
from gradcam_cli.cli.signals import check_interrupts
from gradcam_cli.console import one_line, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import find_sources, gather, no_image
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import check_counterfactual, combine
from gradcam_cli.models.catalog import find_application, is_model_path
from gradcam_cli.models.class_selection import resolve_classes, split_ranks
from gradcam_cli.models.labels import labels_of
from gradcam_cli.models.preprocessing import canonical
from gradcam_cli.output.destination import FORMATS, PICTURES, SUFFIXES, TREE, Destination, read_destination
from gradcam_cli.output.naming import Output, paths_by_map, plan_outputs

_what, _output = under("What to explain"), under("Output")
COUNTED = 10_000
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
@_what(
    "-c",
    "--class",
    "classes",
    multiple=True,
    default=["top"],
    metavar="CLASS",
    help="Index, name, top or topN, repeatable. [default: top]",
)
@_what("--counterfactual", is_flag=True, help="Negate the gradients: what speaks against the class.")
@map_options
@_what(
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
    type=click.Choice(list(SUFFIXES)),
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
@message_options
@click.pass_context
def explain(ctx: click.Context, /, **options: Any) -> int:
    """Show which parts of an image made a convolutional network choose a class.

    INPUT is an image file, a directory (searched through and through), or - for an image on
    standard input; files and directories, of -o too, may be URLs (s3://, gs://, az://; https:// to read).
    Grad-CAM (Selvaraju et al. 2017) with a pretrained VGG19, any classifier of
    keras.applications, or a Keras model of your own.
    """
    start(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["report"]:
        options["output"] = options["output"] or str(TREE)
    destination = read_destination(options["output"], options["kinds"], options["save_format"])
    check_report(options, into_directory=destination.directory is not None)
    if destination.stdout and options["as_json"]:
        raise UsageError("-o - and --json: both would write to standard output")
    inputs, jobs = plan(options, destination)
    first = list(itertools.islice(jobs, COUNTED))
    if not first:
        raise no_image(inputs)
    count = len(first) if len(first) < COUNTED else None
    jobs = itertools.chain(first, jobs)
    if options["dry_run"]:
        return dry_run(jobs, as_json=options["as_json"])
    check_early(options, destination)
    from gradcam_cli.cli.console_writer import Teller
    from gradcam_cli.cli.explain_job import Explaining, jobs_of

    own = {name: value for name, value in options.items() if name not in ("inputs", "files_from")}
    with open_report(ctx, options, destination.directory or TREE, count) as recorder:
        work = Explaining(own, destination, destination.joint and count != 1, recorder.album if recorder else None)
        told = recorder.told() if recorder else None
        teller = Teller(sys.stdout, options, destination, recorder)
        with (
            progress("explaining", count) as advance,
            contextlib.closing(run_engine(ctx, options, jobs_of(jobs, told), work)) as finished,
        ):
            try:
                for one in finished:
                    teller.tell(one)
                    advance(1)
                    check_interrupts()
            except (KeyboardInterrupt, SystemExit):
                teller.tell_break()
                raise
    teller.close()
    return teller.exit_status()


def plan(
    options: dict[str, Any], destination: Destination
) -> tuple[Sequence[str], Iterator[tuple[Source, list[Output]]]]:
    """Return the inputs, and find the images among them one after the other, each with a file for every map.

    Raises:
        UsageError: there is no input, or the outputs cannot be named so.
    """
    inputs = gather(options["inputs"], options["files_from"], nul=options["null"])
    layers, methods = list(dict.fromkeys(options["layers"])), list(dict.fromkeys(options["methods"]))
    maps = combine(layers, methods, split_ranks(options["classes"]))
    sources = find_sources(inputs, skip=destination.directory or TREE)
    return inputs, plan_outputs(sources, destination, maps, inputs)


def dry_run(jobs: Iterable[tuple[Source, list[Output]]], *, as_json: bool) -> int:
    """Say for each input what would be written."""
    from gradcam_cli.images.load import Unexplained
    from gradcam_cli.pipeline.json_lines import to_json

    for source, outputs in jobs:
        if as_json:
            for paths in paths_by_map(outputs):
                click.echo(json.dumps({**to_json(Unexplained(source.name), paths), "status": "planned"}))
        else:
            click.echo(f"{one_line(source.name)} -> {one_line(', '.join(str(output.path) for output in outputs))}")
    return 0


def check_early(options: dict[str, Any], destination: Destination) -> None:
    """Find mistakes that need no TensorFlow before it is loaded."""
    if any(SUFFIXES[kind] is PICTURES for kind in destination.kinds):
        from gradcam_cli.output.figures import colour_table

        colour_table(options["cmap"])
    if options["counterfactual"]:
        check_counterfactual(options["methods"])
    if options["preprocess"]:
        canonical(options["preprocess"])
    application = find_application(options["model"])
    if application and not options["labels"] and not is_model_path(options["model"]):
        names = labels_of(application)
        resolve_classes(options["classes"], names, len(names.names))
