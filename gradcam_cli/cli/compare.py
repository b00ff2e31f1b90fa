"""`gradcam compare BASELINE NEW`: has the network's attention moved?"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, TextIO

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, ModelNameOrFile, PathOrUrl, Threshold, option_group
from gradcam_cli.cli.model_options import loading_options
from gradcam_cli.cli.options import general_options, quiet_tensorflow, setup_logging
from gradcam_cli.cli.report_options import open_report, report_directory_option, report_option
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import escape_control_chars, log, print_error, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.drift import DRIFTS, MapChange, compare_runs, render_saved_map
from gradcam_cli.images.fit import Box
from gradcam_cli.methods.maps import bounding_box, peak
from gradcam_cli.models.catalog import find_spec, is_model_path
from gradcam_cli.pipeline.saved import load_saved_map, load_source_image
from gradcam_cli.storage.paths import as_path, basename, is_url

if TYPE_CHECKING:
    from gradcam_cli.report.writer import ReportWriter

EPILOG = """\
Examples:
  gradcam photos --save npz -o before             with the network as it is
  gradcam photos --save npz -o after --model new.keras
  gradcam compare before after --sheet moved.png  those that moved most
  gradcam compare before after --report           side by side, in a gallery
  gradcam compare before after --max-drift rank=0.1 --max-drift class=0
  gradcam compare before new.keras                explain the same photos now

Exit status:
  0    compared, and within the limits
  1    compared, but some results are in one run only, or were not made again
  2    wrong usage, or maps of different layers, methods or scores
  3    nothing to compare
  4    a limit of --max-drift is exceeded
"""

_option = option_group("Options")


@click.command(cls=GroupedCommand, epilog=EPILOG)
@click.argument("baseline", type=PathOrUrl(exists=True, file_okay=False))
@click.argument("new", type=ModelNameOrFile())
@_option(
    "--max-drift",
    "limits",
    type=Threshold(DRIFTS),
    multiple=True,
    help="Exit 4 where the mean over all maps is larger, repeatable: "
    "class (share of changed classes), rank, ssim, iou (1 less the measure), peak (share of the diagonal).",
)
@_option("--grid_figure", type=PathOrUrl(dir_okay=False), help="Draw the maps that moved most, as PNG or JPEG.")
@_option(
    "--most", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="How many on the grid_figure."
)
@report_option
@report_directory_option("gradcam_comparison")
@loading_options
@general_options
@click.pass_context
def compare(ctx: click.Context, /, baseline: Path, new: str, **options: Any) -> int:
    """Compare the maps of two runs over the same photos.

    BASELINE and NEW are directories that gradcam filled with --save npz; NEW may also be a model,
    which then explains the photos of BASELINE in the same way. Reported are the maps
    whose class changed, and how far each map moved: rank correlation, structural similarity, the
    intersection over union of the largest fifth, and the shift of the peak.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    if is_url(new) or Path(new).is_dir():
        return _run_comparison(ctx, baseline, as_path(new), options, stdout)
    if not (is_model_path(new) or find_spec(new)):
        raise UsageError(f"NEW {new}: expected a directory of results or a model, got neither", "gradcam models")
    with tempfile.TemporaryDirectory(prefix="gradcam-") as folder:
        _reexplain_baseline(ctx, baseline, Path(folder), {**options, "model": new})
        return _run_comparison(ctx, baseline, Path(folder), options, stdout)


def _reexplain_baseline(ctx: click.Context, baseline: Path, output_dir: Path, options: dict[str, Any]) -> None:
    """Fill a folder with the maps of the baseline, made by another model."""
    log.info("loading %s", options["model"])
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    from gradcam_cli.cli.model_options import load_classifier
    from gradcam_cli.evaluation.reexplain import load_records, reexplain
    from gradcam_cli.images.load import Unexplained

    records = load_records(baseline)
    photos = len({record["input"] for record in records.values()})
    with progress("explaining", photos) as advance:
        for done in reexplain(load_classifier(options), records, output_dir):
            if isinstance(done, Unexplained):
                print_error(f"{done.source}: {done.error}", done.hint)
            advance(1)
            raise_if_interrupted()


def _run_comparison(ctx: click.Context, baseline: Path, new: Path, options: dict[str, Any], stdout: TextIO) -> int:
    """Compare two directories, tell, draw, report, and return the exit status."""
    found = list(compare_runs(baseline, new))
    changes = [change for change in found if isinstance(change, MapChange)]
    alone = [name for name in found if isinstance(name, str)]
    drifts = {name: mean(map(drift.compute, changes)) for name, drift in DRIFTS.items()}
    if options["as_json"]:
        lines = [{"name": name, "status": "alone"} for name in alone]
        lines += [{**change._asdict(), "status": "ok"} for change in changes]
        summary = {"status": "summary", "maps": len(changes), "alone": len(alone), "drift": drifts}
        stdout.writelines(json.dumps(line) + "\n" for line in [*lines, summary])
    else:
        _print_table(changes, drifts, stdout)
    for name in alone:
        log.warning("%s: in one run only", escape_control_chars(name))
    if options["sheet"]:
        _draw_grid(sorted(changes, key=lambda change: change.rank)[: options["most"]], baseline, new, options["sheet"])
    missed = [(name, limit) for name, limit in options["limits"] if drifts[name] > limit]
    messages = {
        f"--max-drift {name}={limit:g}": f"drift of {name}: expected at most {limit:g}, got {drifts[name]:.4f}"
        for name, limit in missed
    }
    for message in messages.values():
        log.error("%s", message)
    bounds = [(name, "max", limit) for name, limit in options["limits"]]
    with open_report(ctx, options, options["output"], len(found), thresholds=bounds) as recorder:
        if recorder:
            limits = {f"--max-drift {name}={limit:g}": None for name, limit in options["limits"]}
            recorder.end_record["threshold_results"] = {**limits, **messages}
            _write_report(changes, alone, baseline, new, recorder)
    return 4 if missed else 1 if alone else 0


def _print_table(changes: Sequence[MapChange], drifts: dict[str, float], stdout: TextIO) -> None:
    for change in changes:
        if change.class_before[0] != change.class_after[0]:
            before, after = (
                f"{index} {name}" if name else str(index) for index, name in (change.class_before, change.class_after)
            )
            stdout.write(
                f"{escape_control_chars(change.input)}: class {escape_control_chars(before)} -> {escape_control_chars(after)}\n"
            )
    rows = []
    for name, drift in DRIFTS.items():
        worst = max(changes, key=drift.compute)
        rows.append(
            {
                "drift": name,
                "mean": f"{drifts[name]:.4f}",
                "largest": f"{drift.compute(worst):.4f}",
                "of": escape_control_chars(worst.name) if drift.compute(worst) else "",
            }
        )
    write_table(rows, stdout, as_json=False)


def _write_report(
    changes: Sequence[MapChange], unmatched: Sequence[str], baseline: Path, new: Path, report_writer: ReportWriter
) -> None:
    """Write the lines and draw the maps of the report."""
    for name in unmatched:
        report_writer.write({"name": name, "status": "unmatched"})
    for change in changes:
        drawn: dict[str, Any] = {}
        for run, folder in (("before", baseline), ("after", new)):
            saved = load_saved_map(folder / change.name)
            view, which = Box(0, 0, *saved.heatmap.shape[::-1]), f"{run}|{change.name}"
            drawn |= report_writer.images.draw_image(change.input, which, load_source_image(saved), saved.heatmap, view)
            picture_of = report_writer.images.draw_map(change.input, which, saved.heatmap, view)
            numbers = {"peak": peak(saved.heatmap), "box": bounding_box(saved.heatmap)}
            drawn[run] = {**saved.metadata, "map_image": picture_of, "map": numbers}
        report_writer.write({**change._asdict(), "status": "ok", "report": drawn})


def _draw_grid(changes: Sequence[MapChange], baseline: Path, new: Path, target: Path) -> None:
    """Draw a row a map: the baseline's and the new one, over the photo where it is still there."""
    from gradcam_cli.output.destination import format_for_suffix
    from gradcam_cli.output.figures import encode_figure, grid_figure
    from gradcam_cli.storage.files import write_output

    rows = []
    for change in changes:
        row = []
        for run, folder, (index, name) in (
            ("before", baseline, change.class_before),
            ("after", new, change.class_after),
        ):
            saved = load_saved_map(folder / change.name)
            class_ = f"{index} {name}" if name else str(index)
            label = f"{basename(change.input)}, {run}: {class_} · p = {saved.metadata['probability']:.3f}"
            row.append((label, render_saved_map(saved)))
        rows.append(row)
    write_output(target, encode_figure(grid_figure(rows), format_for_suffix(target)))
