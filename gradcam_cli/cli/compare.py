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

from gradcam_cli.cli.click_extensions import GroupedCommand, ModelType, PlaceType, ThresholdType, under
from gradcam_cli.cli.options import loading_options, message_options, start, start_tensorflow
from gradcam_cli.cli.report_options import open_report, report_directory_option, report_option
from gradcam_cli.cli.signals import check_interrupts
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log, one_line, progress, say_error
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.drift import DRIFTS, Change, compare_all, picture
from gradcam_cli.images.fit import Box
from gradcam_cli.methods.maps import box, peak
from gradcam_cli.models.catalog import find_application, is_model_path
from gradcam_cli.pipeline.saved import photo_of, read_result
from gradcam_cli.storage.paths import is_url, name_of, place

if TYPE_CHECKING:
    from gradcam_cli.report.writer import Recorder

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

_option = under("Options")


@click.command(cls=GroupedCommand, epilog=EPILOG)
@click.argument("baseline", type=PlaceType(exists=True, file_okay=False))
@click.argument("new", type=ModelType())
@_option(
    "--max-drift",
    "limits",
    type=ThresholdType(DRIFTS),
    multiple=True,
    help="Exit 4 where the mean over all maps is larger, repeatable: "
    "class (share of changed classes), rank, ssim, iou (1 less the measure), peak (share of the diagonal).",
)
@_option("--sheet", type=PlaceType(dir_okay=False), help="Draw the maps that moved most, as PNG or JPEG.")
@_option("--most", type=click.IntRange(1), default=8, show_default=True, metavar="N", help="How many on the sheet.")
@report_option
@report_directory_option("gradcam_comparison")
@loading_options
@message_options
@click.pass_context
def compare(ctx: click.Context, /, baseline: Path, new: str, **options: Any) -> int:
    """Compare the maps of two runs over the same photos.

    BASELINE and NEW are directories that gradcam filled with --save npz; NEW may also be a model,
    which then explains the photos of BASELINE in the same way. Reported are the maps
    whose class changed, and how far each map moved: rank correlation, structural similarity, the
    intersection over union of the largest fifth, and the shift of the peak.
    """
    start(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    if is_url(new) or Path(new).is_dir():
        return _compare(ctx, baseline, place(new), options, stdout)
    if not (is_model_path(new) or find_application(new)):
        raise UsageError(f"NEW {new}: expected a directory of results or a model, got neither", "gradcam models")
    with tempfile.TemporaryDirectory(prefix="gradcam-") as folder:
        _explain_again(ctx, baseline, Path(folder), {**options, "model": new})
        return _compare(ctx, baseline, Path(folder), options, stdout)


def _explain_again(ctx: click.Context, baseline: Path, folder: Path, options: dict[str, Any]) -> None:
    """Fill a folder with the maps of the baseline, made by another model."""
    log.info("loading %s", options["model"])
    start_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    from gradcam_cli.cli.model_options import load_classifier
    from gradcam_cli.evaluation.reexplain import explain_again, read_records
    from gradcam_cli.images.load import Unexplained

    records = read_records(baseline)
    photos = len({record["input"] for record in records.values()})
    with progress("explaining", photos) as advance:
        for done in explain_again(load_classifier(options), records, folder):
            if isinstance(done, Unexplained):
                say_error(f"{done.source}: {done.error}", done.hint)
            advance(1)
            check_interrupts()


def _compare(ctx: click.Context, baseline: Path, new: Path, options: dict[str, Any], stdout: TextIO) -> int:
    """Compare two directories, tell, draw, report, and return the exit status."""
    found = list(compare_all(baseline, new))
    changes = [change for change in found if isinstance(change, Change)]
    alone = [name for name in found if isinstance(name, str)]
    drifts = {name: mean(map(drift.of, changes)) for name, drift in DRIFTS.items()}
    if options["as_json"]:
        lines = [{"name": name, "status": "alone"} for name in alone]
        lines += [{**change._asdict(), "status": "ok"} for change in changes]
        summary = {"status": "summary", "maps": len(changes), "alone": len(alone), "drift": drifts}
        stdout.writelines(json.dumps(line) + "\n" for line in [*lines, summary])
    else:
        _tell(changes, drifts, stdout)
    for name in alone:
        log.warning("%s: in one run only", one_line(name))
    if options["sheet"]:
        _draw(sorted(changes, key=lambda change: change.rank)[: options["most"]], baseline, new, options["sheet"])
    missed = [(name, limit) for name, limit in options["limits"] if drifts[name] > limit]
    messages = {
        f"--max-drift {name}={limit:g}": f"drift of {name}: expected at most {limit:g}, got {drifts[name]:.4f}"
        for name, limit in missed
    }
    for message in messages.values():
        log.error("%s", message)
    bounds = [(name, "most", limit) for name, limit in options["limits"]]
    with open_report(ctx, options, options["output"], len(found), bounds=bounds) as recorder:
        if recorder:
            limits = {f"--max-drift {name}={limit:g}": None for name, limit in options["limits"]}
            recorder.end["limits"] = {**limits, **messages}
            _report(changes, alone, baseline, new, recorder)
    return 4 if missed else 1 if alone else 0


def _tell(changes: Sequence[Change], drifts: dict[str, float], stdout: TextIO) -> None:
    for change in changes:
        if change.before[0] != change.after[0]:
            before, after = (f"{index} {name}" if name else str(index) for index, name in (change.before, change.after))
            stdout.write(f"{one_line(change.input)}: class {one_line(before)} -> {one_line(after)}\n")
    rows = []
    for name, drift in DRIFTS.items():
        worst = max(changes, key=drift.of)
        rows.append(
            {
                "drift": name,
                "mean": f"{drifts[name]:.4f}",
                "largest": f"{drift.of(worst):.4f}",
                "of": one_line(worst.name) if drift.of(worst) else "",
            }
        )
    write_table(rows, stdout, as_json=False)


def _report(changes: Sequence[Change], alone: Sequence[str], baseline: Path, new: Path, recorder: Recorder) -> None:
    """Write the lines and draw the maps of the report."""
    for name in alone:
        recorder.write({"name": name, "status": "alone"})
    for change in changes:
        drawn: dict[str, Any] = {}
        for run, folder in (("before", baseline), ("after", new)):
            saved = read_result(folder / change.name)
            view, which = Box(0, 0, *saved.map.shape[::-1]), f"{run}|{change.name}"
            drawn |= recorder.album.draw_photo(change.input, which, photo_of(saved), saved.map, view)
            picture_of = recorder.album.draw_map(change.input, which, saved.map, view)
            numbers = {"peak": peak(saved.map), "box": box(saved.map)}
            drawn[run] = {**saved.record, "picture": picture_of, "map": numbers}
        recorder.write({**change._asdict(), "status": "ok", "report": drawn})


def _draw(changes: Sequence[Change], baseline: Path, new: Path, target: Path) -> None:
    """Draw a row a map: the baseline's and the new one, over the photo where it is still there."""
    from gradcam_cli.output.destination import format_of
    from gradcam_cli.output.figures import encode_figure, sheet
    from gradcam_cli.storage.files import write

    rows = []
    for change in changes:
        row = []
        for run, folder, (index, name) in (("before", baseline, change.before), ("after", new, change.after)):
            saved = read_result(folder / change.name)
            class_ = f"{index} {name}" if name else str(index)
            label = f"{name_of(change.input)}, {run}: {class_} · p = {saved.record['probability']:.3f}"
            row.append((label, picture(saved)))
        rows.append(row)
    write(target, encode_figure(sheet(rows), format_of(target)))
