"""From the lines of a run to its page: read them, draw what is missing, write `index.html` at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.report.backfill import add_missing_images
from gradcam_cli.report.document import build_document, metric_rows, metric_titles, sanity_steps
from gradcam_cli.report.image_store import ReportImages
from gradcam_cli.report.page import render
from gradcam_cli.report.run_log import load_run_log
from gradcam_cli.report.run_records import (
    REPORT_FOLDER,
    RUN_LOG_NAME,
    Record,
    merge_runs,
    read_records,
    records_from_npz,
)
from gradcam_cli.storage.files import open_readable, write_output

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE_NAME = "index.html"
GENERATOR_TAG = b'<meta name="generator" content="gradcam'
"""Stands at the head of every report."""
HEAD_BYTES = 500


def build_report(directory: Path, jsonl_path: Path | None = None) -> Path:
    """Write DIR/index.html from the lines of a run and the files that it left; return its path.

    Args:
        directory: of the results.
        jsonl_path: what `--json` wrote; without it the lines that the run kept, or the `.npz` files there.

    Raises:
        InputError: there is nothing to report.
        OutputError: the page cannot be written, or a page of another kind is there.
    """
    check_not_foreign_page(directory)
    found = read_records(jsonl_path) if jsonl_path else load_run_log(directory) or records_from_npz(directory)
    records = list(add_missing_images(merge_runs(found), ReportImages(directory)))
    document = build_document(records)
    if not document["entries"]:
        place = jsonl_path or directory / REPORT_FOLDER / RUN_LOG_NAME
        raise InputError(f"{place} tells of no input", "a report needs a run that came as far as its first")
    document["plots"] = list(_plots(directory, records, document["entries"]))
    return write_output(directory / PAGE_NAME, render(document).encode())


def check_not_foreign_page(directory: Path) -> None:
    """Check that a report may be written to a directory.

    Raises:
        OutputError: there is a page that is no report.
    """
    page = directory / PAGE_NAME
    try:
        with open_readable(page) as file:
            ours = GENERATOR_TAG in file.read(HEAD_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{page} cannot be written: {error.strerror or error}") from error
    if not ours:
        raise OutputError(f"{page} is no report of gradcam: it would be overwritten", "name another directory")


def _plots(directory: Path, records: Sequence[Record], entries: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from gradcam_cli.images.encode import encode
    from gradcam_cli.output.figures import figure_pixels

    for name, figure in _figures(records, entries):
        pixels = figure_pixels(figure)
        path = f"{REPORT_FOLDER}/{name}_gradcam_plot.png"
        write_output(directory / path, encode(pixels))
        yield {"title": name, "src": path, "width": pixels.shape[1], "height": pixels.shape[0]}


def _figures(records: Sequence[Record], entries: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Draw the metrics of an evaluation, or the drifts of a comparison."""
    from gradcam_cli.evaluation.plots import draw_evaluation, plot_values

    if rows := metric_rows(records):
        yield from draw_evaluation(rows, list(metric_titles(records)), sanity_steps(records))
    changes = [one["metrics"] for entry in entries for one in entry["maps"] if one.get("run") == "after"]
    if changes:
        drifts = {name: [values[name] for values in changes] for name in changes[0] if name != "class"}
        yield "drift", plot_values("drift of each map (0: nothing changed)", drifts, [])
