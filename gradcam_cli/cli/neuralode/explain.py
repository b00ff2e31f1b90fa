"""`gradcam neuralode explain`: Grad-CAM along the depth of an ODE."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, option_group
from gradcam_cli.cli.model_options import allow_unsafe_option, labels_option, preprocess_option
from gradcam_cli.cli.options import (
    general_options,
    input_options,
    quiet_tensorflow,
    setup_logging,
)
from gradcam_cli.cli.report_options import RERUN_OPTIONS, open_report, report_option, require_report_directory
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.console import log, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import expand_inputs, find_sources, no_images_error
from gradcam_cli.images.fit import FIT_MODES
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import names_of_kind
from gradcam_cli.models.class_selection import expand_top_n
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.output.destination import DEFAULT_OUTPUT_DIR, Destination
from gradcam_cli.output.naming import plan_outputs
from gradcam_cli.storage.paths import as_path, is_url

ARTIFACT_SUFFIXES = {"strip": ".png", "gif": ".gif", "apng": ".apng", "npz": ".npz"}
"""What can be saved of an image, each with its suffix."""
RERUN_DEPTH_OPTIONS = (*RERUN_OPTIONS, "at", "frames", "block", "asked", "method", "solver", "tolerance")
"""Options that a command needs to make the maps again."""
_explanation, _output = option_group("What to explain"), option_group("Output")

EPILOG = """\
Examples:
  gradcam neuralode explain 7.png --model net.keras               five depths
  gradcam neuralode explain 7.png --model net.keras --at 0,0.5,1  these depths
  gradcam neuralode explain digits/ --model net.keras --frames 30 --save gif
  gradcam neuralode explain 7.png --model net.keras --save npz --json
"""


class FloatList(click.ParamType):
    """Depths, separated by commas: `0,0.5,1`."""

    name = "t,t,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        """Return the depths."""
        try:
            return [float(part) for part in str(value).split(",")]
        except ValueError as error:
            raise UsageError(f"--at {value}: expected depths such as 0,0.25,0.5,0.75,1") from error


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Show what a classifier sees at every depth t.")
@click.argument("inputs", metavar="IMAGE...", nargs=-1, type=click.Path())
@input_options
@_explanation("-m", "--model", required=True, metavar="FILE", help="A .keras file that holds an ODEBlock.")
@labels_option
@preprocess_option
@allow_unsafe_option
@_explanation("--at", type=FloatList(), metavar="T,T,...", help="Depths. [default: five, evenly spaced]")
@_explanation("--frames", type=click.IntRange(2), metavar="N", help="So many depths, evenly spaced.")
@_explanation("--block", metavar="NAME", help="The ODEBlock, where the model has several.")
@_explanation("-c", "--class", "asked", default="top", show_default=True, metavar="CLASS", help="Index, name or top.")
@_explanation(
    "--method",
    type=click.Choice(names_of_kind("cam", "baseline")),
    default="gradcam",
    show_default=True,
    help="How a map is made.",
)
@_explanation(
    "--fit", type=click.Choice(FIT_MODES), default="squash", show_default=True, help="How a photo is made to fit."
)
@_explanation("--solver", type=click.Choice(list(SOLVERS)), help="Of both solves. [default: the model's]")
@_explanation(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    default=1e-5,
    show_default=True,
    metavar="X",
    help="Of both solves, relative and absolute.",
)
@_output("-o", "--output", metavar="DIR|FILE", help="A directory, or a file for one image. [here; gradcam_out/]")
@report_option
@_output(
    "--save", "kinds", multiple=True, type=click.Choice(list(ARTIFACT_SUFFIXES)), help="Repeatable. [default: strip]"
)
@_output("--alpha", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="X", help="Of the maps.")
@_output("--cmap", default="jet", show_default=True, metavar="NAME", help="Any colour map of matplotlib.")
@general_options
@click.pass_context
def explain(ctx: click.Context, /, **options: Any) -> int:
    """Show what a network with an ODE in its middle sees at every depth t.

    The adjoint a(t) = dy_c/dz(t) is the gradient that Grad-CAM averages: one solve backward gives the weights and a map
    for every t. The strip shows the maps, each divided by its own maximum, and below them how long a(t) is: how much
    the score depends on the state at that depth.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["at"] and options["frames"]:
        raise UsageError("--at and --frames: expected one of them, got both")
    if len(expand_top_n([options["asked"]])) > 1:
        raise UsageError(f"--class {options['asked']}: expected one class, got several")
    if options["report"]:
        options["output"] = options["output"] or str(DEFAULT_OUTPUT_DIR)
        require_report_directory(options, into_directory=not _is_file_target(as_path(options["output"])))
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    jobs = list(_plan_files(inputs, options))
    if not jobs:
        raise no_images_error(inputs)
    log.info("loading %s", options["model"])
    stdout = sys.stdout
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    from gradcam_cli.cli.neuralode.explain_run import DepthResultWriter, explain_tasks, prepare

    run, depths = prepare(options)
    counts: Counter[str] = Counter()
    with (
        open_report(
            ctx, options, as_path(options["output"] or DEFAULT_OUTPUT_DIR), len(jobs), rerun_options=RERUN_DEPTH_OPTIONS
        ) as recorder,
        progress("explaining", len(jobs)) as advance,
    ):
        writer = DepthResultWriter(options, depths, stdout, recorder)
        for one in explain_tasks(run, jobs, options["max_pixels"]):
            counts[writer.finish(one)] += 1
            advance(1)
            raise_if_interrupted()
    return 0 if not counts["failed"] else 1 if counts["ok"] else 3


def _plan_files(inputs: Sequence[str], options: dict[str, Any]) -> Iterator[tuple[Source, dict[str, Path]]]:
    """Give each image its files: NAME_gradcam_depth and a suffix."""
    target, kinds = as_path(options["output"]) if options["output"] else None, options["kinds"]
    named = target if target and _is_file_target(target) else None
    if named and (kinds not in ((), (_artifact_kind(named),))):
        raise UsageError(
            f"-o {named}: expected a name for {', '.join(kinds)}", "name a directory to save several kinds"
        )
    kinds = (_artifact_kind(named),) if named else tuple(dict.fromkeys(kinds)) or ("strip",)
    directory = None if named else target
    sources = find_sources(inputs, skip=directory or DEFAULT_OUTPUT_DIR)
    ending = "_gradcam_panel.png"
    for number, (source, outputs) in enumerate(
        plan_outputs(sources, Destination(("grid",), directory), [("", "", "")], inputs)
    ):
        if named and number:
            raise UsageError(f"-o {named}: expected one input, got several", "name a directory instead")
        start = str(outputs[0].path).removesuffix(ending)
        yield source, {kind: named or as_path(f"{start}_gradcam_depth{ARTIFACT_SUFFIXES[kind]}") for kind in kinds}


def _is_file_target(path: Path) -> bool:
    return path.suffix.lower() in ARTIFACT_SUFFIXES.values() and (is_url(path) or not path.is_dir())


def _artifact_kind(path: Path) -> str:
    return next(kind for kind, suffix in ARTIFACT_SUFFIXES.items() if suffix == path.suffix.lower())
