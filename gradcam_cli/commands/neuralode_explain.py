"""`gradcam neuralode explain`: Grad-CAM along the depth of an ODE."""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradcam_cli.cam import METHODS
from gradcam_cli.commands.grouping import GroupedCommand, under
from gradcam_cli.commands.options import (
    allow_unsafe_option,
    input_options,
    labels_option,
    message_options,
    preprocess_option,
    start,
    start_tensorflow,
)
from gradcam_cli.errors import OutputError, UsageError
from gradcam_cli.inputs import find_sources, gather, no_image
from gradcam_cli.interrupts import check_interrupts
from gradcam_cli.labels import split_ranks
from gradcam_cli.messages import log, one_line, progress, say_error
from gradcam_cli.neuralode.tableaus import SOLVERS
from gradcam_cli.outputs import TREE, Destination, plan_outputs
from gradcam_cli.views import FITS

if TYPE_CHECKING:
    import numpy as np

    from gradcam_cli.results import Explanation, Unexplained
    from gradcam_cli.runs import Run

KINDS = {"strip": ".png", "gif": ".gif", "apng": ".apng", "npz": ".npz"}
"""What can be saved of an image, each with its suffix."""
BATCH = 32
_what, _output = under("What to explain"), under("Output")

EPILOG = """\
Examples:
  gradcam neuralode explain 7.png --model mnist.keras                    five depths, a strip
  gradcam neuralode explain 7.png --model mnist.keras --at 0,0.5,1       these depths
  gradcam neuralode explain digits/ --model mnist.keras --frames 30 --save gif
  gradcam neuralode explain 7.png --model mnist.keras --save npz --json  arrays, and a JSON line
"""


class DepthsType(click.ParamType):
    """Depths, separated by commas: `0,0.5,1`."""

    name = "t,t,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        """Return the depths."""
        try:
            return [float(part) for part in str(value).split(",")]
        except ValueError as error:
            raise UsageError(f"--at {value}: expected depths such as 0,0.25,0.5,0.75,1") from error


@click.command(cls=GroupedCommand, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("inputs", metavar="IMAGE...", nargs=-1, type=click.Path())
@input_options
@_what("-m", "--model", required=True, metavar="FILE", help="A .keras file that holds an ODEBlock.")
@labels_option
@preprocess_option
@allow_unsafe_option
@_what("--at", type=DepthsType(), metavar="T,T,...", help="Depths. [default: five, evenly spaced]")
@_what("--frames", type=click.IntRange(2), metavar="N", help="So many depths, evenly spaced.")
@_what("--block", metavar="NAME", help="The ODEBlock, where the model has several.")
@_what("-c", "--class", "asked", default="top", show_default=True, metavar="CLASS", help="Index, name or top.")
@_what("--method", type=click.Choice(list(METHODS)), default="gradcam", show_default=True, help="How a map is made.")
@_what("--fit", type=click.Choice(FITS), default="squash", show_default=True, help="How a photo is made to fit.")
@_what("--solver", type=click.Choice(list(SOLVERS)), help="Of both solves. [default: the model's]")
@_what(
    "--tolerance",
    type=click.FloatRange(0, min_open=True),
    default=1e-5,
    show_default=True,
    metavar="X",
    help="Of both solves, relative and absolute.",
)
@_output("-o", "--output", metavar="DIR|FILE", help="A directory, or a file for one image. [here; gradcam_out/]")
@_output("--save", "kinds", multiple=True, type=click.Choice(list(KINDS)), help="Repeatable. [default: strip]")
@_output("--alpha", type=click.FloatRange(0, 1), default=0.5, show_default=True, metavar="X", help="Of the maps.")
@_output("--cmap", default="jet", show_default=True, metavar="NAME", help="Any colour map of matplotlib.")
@message_options
@click.pass_context
def explain(ctx: click.Context, /, **options: Any) -> int:
    """Show what a network with an ODE in its middle sees at every depth t.

    The adjoint a(t) = dy_c/dz(t) is the gradient that Grad-CAM averages: one solve backward gives the weights and a map
    for every t. The strip shows the maps, each divided by its own maximum, and below them how long a(t) is: how much
    the score depends on the state at that depth.
    """
    start(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["at"] and options["frames"]:
        raise UsageError("--at and --frames: expected one of them, got both")
    if len(split_ranks([options["asked"]])) > 1:
        raise UsageError(f"--class {options['asked']}: expected one class, got several")
    inputs = gather(options["inputs"], options["files_from"], nul=options["null"])
    jobs = list(_plan(inputs, options))
    if not jobs:
        raise no_image(inputs)
    log.info("loading %s", options["model"])
    stdout = sys.stdout
    start_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    run, depths = _prepare(options)
    counts: Counter[str] = Counter()
    with progress("explaining", len(jobs)) as advance:
        for job, result, curve in _explained(run, jobs, options):
            counts[_finish(job, result, depths, curve, options, stdout)] += 1
            advance(1)
            check_interrupts()
    return 0 if not counts["failed"] else 1 if counts["ok"] else 3


Job = tuple[Any, dict[str, Path]]
"""A source, and the files to write, by kind."""


def _plan(inputs: Sequence[str], options: dict[str, Any]) -> Iterator[Job]:
    """Give each image its files: NAME_gradcam_depth and a suffix."""
    target, kinds = Path(options["output"]) if options["output"] else None, options["kinds"]
    named = target if target and target.suffix.lower() in KINDS.values() and not target.is_dir() else None
    if named and (kinds not in ((), (_kind(named),))):
        raise UsageError(
            f"-o {named}: expected a name for {', '.join(kinds)}", "name a directory to save several kinds"
        )
    kinds = (_kind(named),) if named else tuple(dict.fromkeys(kinds)) or ("strip",)
    directory = None if named else target
    sources = find_sources(inputs, skip=directory or TREE)
    ending = "_gradcam_panel.png"
    for number, (source, outputs) in enumerate(
        plan_outputs(sources, Destination(("panel",), directory), [("", "", "")], inputs)
    ):
        if named and number:
            raise UsageError(f"-o {named}: expected one input, got several", "name a directory instead")
        place = str(outputs[0].path).removesuffix(ending)
        yield source, {kind: named or Path(f"{place}_gradcam_depth{KINDS[kind]}") for kind in kinds}


def _kind(path: Path) -> str:
    return next(kind for kind, suffix in KINDS.items() if suffix == path.suffix.lower())


def _prepare(options: dict[str, Any]) -> tuple[Run, list[float]]:
    """Load the model and make the run along its depth ready."""
    from gradcam_cli.commands.loading import load_classifier
    from gradcam_cli.neuralode.depth import prepare_depths, read_depths
    from gradcam_cli.neuralode.layer import find_block
    from gradcam_cli.runs import Request

    classifier = load_classifier({"weights": None, "input_size": None, "offline": True, **options})
    block = find_block(classifier.model, options["block"])
    depths = read_depths(block, options["at"], options["frames"])
    request = Request(classes=(options["asked"],), methods=(options["method"],), fit=options["fit"], batch_size=BATCH)
    return prepare_depths(classifier, request, depths, block, options["solver"], options["tolerance"]), depths


def _explained(
    run: Run, jobs: Sequence[Job], options: dict[str, Any]
) -> Iterator[tuple[Job, list[Explanation] | Unexplained, np.ndarray | None]]:
    """Yield for each job its maps, one a depth, and the sensitivity at each depth."""
    from gradcam_cli import pipeline
    from gradcam_cli.neuralode.depth import sensitivity
    from gradcam_cli.photos import read_photo

    seen = (pipeline.see(run, read_photo(source, options["max_pixels"])) for source, _ in jobs)
    for job, scored in zip(jobs, pipeline.score(run, seen), strict=True):
        curve = sensitivity(scored.result)[0, scored.i] if isinstance(scored, pipeline.Scored) else None
        yield job, pipeline.explain(run, scored), curve


def _finish(
    job: Job,
    result: list[Explanation] | Unexplained,
    depths: list[float],
    curve: np.ndarray | None,
    options: dict[str, Any],
    stdout: TextIO,
) -> str:
    """Write the files of an image and its line; return `ok` or `failed`."""
    from gradcam_cli.records import to_json
    from gradcam_cli.results import Unexplained, write

    source, files = job
    if isinstance(result, list) and curve is not None:
        try:
            for kind, path in files.items():
                write(path, _encode(kind, result, depths, curve, options))
        except OutputError as error:
            result = Unexplained(source.name, error.message, error.hint)
    if isinstance(result, Unexplained):
        say_error(f"{result.source}: {result.error}", result.hint)
        if options["as_json"]:
            stdout.write(json.dumps(to_json(result), allow_nan=False) + "\n")
        return "failed"
    first, paths = result[0], {kind: str(path) for kind, path in files.items()}
    for one in result:
        if one.zero:
            log.warning("%s: the map at %s is zero everywhere: %s", one_line(source.name), one.layer, one.zero)
    if options["as_json"]:
        record = to_json(first, paths)
        along = [
            {"t": t, "sensitivity": float(length), **to_json(one)["map"]}
            for t, length, one in zip(depths, curve if curve is not None else (), result, strict=True)
        ]
        record.update(layer=first.layer.split("@")[0], map=None, depths=along, tolerance=options["tolerance"])
        stdout.write(json.dumps(record, allow_nan=False) + "\n")
    else:
        probability = f"{first.prediction.probability:.3f}"
        stdout.write(
            one_line(f"{first.source}: {first.prediction} ({probability}) -> {', '.join(paths.values())}") + "\n"
        )
    stdout.flush()
    return "ok"


def _encode(
    kind: str, result: list[Explanation], depths: list[float], curve: np.ndarray, options: dict[str, Any]
) -> bytes:
    """Return the bytes of one of `KINDS`."""
    import numpy as np

    from gradcam_cli.neuralode.strip import animation_frames, draw_strip, enlarged_overlay
    from gradcam_cli.render import encode_animation, encode_figure

    first = result[0]
    if kind == "npz":
        buffer = io.BytesIO()
        alpha = (
            {} if first.alpha is None else {"alpha": np.stack([one.alpha for one in result if one.alpha is not None])}
        )
        maps = {name: np.stack([getattr(one, name) for one in result]) for name in ("map", "raw", "signed")}
        record = np.array(json.dumps(first.identity()))
        np.savez(buffer, allow_pickle=False, t=np.array(depths), sensitivity=curve, record=record, **maps, **alpha)
        return buffer.getvalue()
    look = (options["cmap"], options["alpha"])
    overlays = [enlarged_overlay(one.photo, one.map, one.view, *look) for one in result]
    if kind == "strip":
        chosen = f"{first.prediction} · p = {first.prediction.probability:.3f}"
        title = f"{Path(first.source).name}: {chosen} · {first.method} along {first.layer.split('@')[0]}"
        return encode_figure(draw_strip(first.photo, overlays, depths, curve, title))
    return encode_animation(animation_frames(overlays, depths), kind)
