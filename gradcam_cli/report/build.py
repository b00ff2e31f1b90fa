"""From the lines of a run to its page: read them, draw what is missing, write `index.html` at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.report.backfill import with_pictures
from gradcam_cli.report.document import document_of, metrics_of, rows_of, steps_of
from gradcam_cli.report.image_store import Album
from gradcam_cli.report.page import render
from gradcam_cli.report.run_log import kept_lines
from gradcam_cli.report.run_records import FOLDER, LINES, Record, latest, read_lines, saved_lines
from gradcam_cli.storage.files import open_bytes, write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAGE = "index.html"
MARK = b'<meta name="generator" content="gradcam'
"""Stands at the head of every report."""
HEAD = 500


def build_report(directory: Path, lines: Path | None = None) -> Path:
    """Write DIR/index.html from the lines of a run and the files that it left; return its path.

    Args:
        directory: of the results.
        lines: what `--json` wrote; without it the lines that the run kept, or the `.npz` files there.

    Raises:
        InputError: there is nothing to report.
        OutputError: the page cannot be written, or a page of another kind is there.
    """
    check_place(directory)
    found = read_lines(lines) if lines else kept_lines(directory) or saved_lines(directory)
    records = list(with_pictures(latest(found), Album(directory)))
    document = document_of(records)
    if not document["entries"]:
        place = lines or directory / FOLDER / LINES
        raise InputError(f"{place} tells of no input", "a report needs a run that came as far as its first")
    document["plots"] = list(_plots(directory, records, document["entries"]))
    return write(directory / PAGE, render(document).encode())


def check_place(directory: Path) -> None:
    """Check that a report may be written to a directory.

    Raises:
        OutputError: there is a page that is no report.
    """
    page = directory / PAGE
    try:
        with open_bytes(page) as file:
            ours = MARK in file.read(HEAD)
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
        path = f"{FOLDER}/{name}_gradcam_plot.png"
        write(directory / path, encode(pixels))
        yield {"title": name, "src": path, "width": pixels.shape[1], "height": pixels.shape[0]}


def _figures(records: Sequence[Record], entries: Sequence[dict[str, Any]]) -> Iterator[tuple[str, Figure]]:
    """Draw the metrics of an evaluation, or the drifts of a comparison."""
    from gradcam_cli.evaluation.plots import draw_evaluation, plot_values

    if rows := rows_of(records):
        yield from draw_evaluation(rows, list(metrics_of(records)), steps_of(records))
    changes = [one["metrics"] for entry in entries for one in entry["maps"] if one.get("run") == "after"]
    if changes:
        drifts = {name: [values[name] for values in changes] for name in changes[0] if name != "class"}
        yield "drift", plot_values("drift of each map (0: nothing changed)", drifts, [])
