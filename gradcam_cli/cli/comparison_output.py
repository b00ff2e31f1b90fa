"""The output of `gradcam compare`: tables and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TextIO

from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import escape_control_chars
from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.correctness import BROKEN, describe
from gradcam_cli.evaluation.drift import DRIFTS, MapChange
from gradcam_cli.images.box import Box
from gradcam_cli.methods.maps import bounding_box, peak
from gradcam_cli.pipeline.saved import load_saved_map, load_source_image
from gradcam_cli.reporting.sheets import shown_numbers

if TYPE_CHECKING:
    from gradcam_cli.reporting.image_store import ReportImages
    from gradcam_cli.reporting.writer import ReportWriter

_IN_BOTH = {"right": " in both", "wrong": " in both"}


def print_tables(comparison: Comparison, stdout: TextIO) -> None:
    """Print the maps whose class changed, and the mean and the largest value of each drift measure."""
    for text in dict.fromkeys(filter(None, map(_describe_change, comparison.changes))):
        stdout.write(escape_control_chars(text) + "\n")
    if BROKEN in comparison.drifts:
        counts = (f"{count} {state}{_IN_BOTH.get(state, '')}" for state, count in comparison.correctness.items())
        stdout.write(f"predictions: {', '.join(counts)}\n")
    rows = []
    for name, drift in DRIFTS.items():
        largest = max(comparison.changes, key=drift.compute)
        value = drift.compute(largest)
        map_name = escape_control_chars(largest.name) if value else ""
        rows.append(
            {"drift": name, "mean": f"{comparison.drifts[name]:.4f}", "largest": f"{value:.4f}", "map": map_name}
        )
    write_table(rows, stdout, as_json=False)


def _describe_change(change: MapChange) -> str | None:
    """Return the line of an image that was mended or broken, or whose explained class changed; otherwise None."""
    before, after = change.truth_before, change.truth_after
    if before and after and change.correctness in ("mended", BROKEN):
        classes = f"{describe(before, 'predicted')} -> {describe(after, 'predicted')}"
        return f"{change.input}: {change.correctness}: {classes}, true class {describe(after, 'class')}"
    if change.class_changed:
        return f"{change.input}: class {change.class_before} -> {change.class_after}"
    return None


def write_report(comparison: Comparison, report_writer: ReportWriter) -> None:
    """Write the records and draw the maps of the report."""
    for each in comparison.not_compared:
        report_writer.write(each.to_dict())
    for change in comparison.changes:
        report_writer.write({**change.to_dict(), "report": _draw_for_report(change, comparison, report_writer.images)})


def _draw_for_report(change: MapChange, comparison: Comparison, images: ReportImages) -> dict[str, Any]:
    """Draw the maps of both runs; return the file names of the image, and the data of the maps."""
    directories = {"before": comparison.before, "after": comparison.after}
    maps = {run: load_saved_map(directory / change.name) for run, directory in directories.items()}
    peaks = [peak(saved.heatmap) for saved in maps.values()]
    report: dict[str, Any] = {}
    for run, saved in maps.items():
        shape, method, map_id = saved.heatmap.shape, saved.metadata["method"], f"{run}|{change.name}"
        shown = images.shown(load_source_image(saved), saved.heatmap, Box.whole(shape), method, saved.space)
        numbers = shown_numbers(saved.space, shape, peaks)
        files = images.draw_image(change.input, map_id, shown, numbers)
        thumbnail = {"thumbnail": files["thumbnail"]} if "thumbnail" in files else {}
        drawn = images.draw_map(change.input, map_id, shown, numbers) | {"levels": images.saved_levels(saved)}
        summary = {"peak": shown.peak, "box": bounding_box(saved.heatmap)}
        report |= {**files, run: {**saved.metadata, **drawn, "map": summary, **thumbnail}}
    return report
