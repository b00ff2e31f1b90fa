"""The output of `gradcam compare`: tables and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import escape_control_chars
from gradcam_cli.evaluation.comparison import Comparison
from gradcam_cli.evaluation.correctness import BROKEN, describe
from gradcam_cli.evaluation.drift import DRIFTS, MapChange
from gradcam_cli.images.box import Box
from gradcam_cli.methods.maps import bounding_box, peak
from gradcam_cli.pipeline.saved import load_saved_map, load_source_image

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
        report: dict[str, Any] = {}
        for run, directory in (("before", comparison.before), ("after", comparison.after)):
            report |= _draw_for_report(change, run, directory, report_writer.images)
        report_writer.write({**change.to_dict(), "report": report})


def _draw_for_report(change: MapChange, run: str, directory: Path, images: ReportImages) -> dict[str, Any]:
    """Draw a map of one run; return the file names of the image, and the data of the map."""
    saved = load_saved_map(directory / change.name)
    box, map_id = Box(0, 0, *saved.heatmap.shape[::-1]), f"{run}|{change.name}"
    files = images.draw_image(
        change.input, map_id, load_source_image(saved), saved.heatmap, box, saved.metadata["method"]
    )
    map_image = images.draw_map(change.input, map_id, saved.heatmap, box, saved.metadata["method"])
    levels = images.saved_levels(saved)
    numbers = {"peak": peak(saved.heatmap), "box": bounding_box(saved.heatmap)}
    thumbnail = {"thumbnail": files["thumbnail"]} if "thumbnail" in files else {}
    return {**files, run: {**saved.metadata, "map_image": map_image, "levels": levels, "map": numbers, **thumbnail}}
