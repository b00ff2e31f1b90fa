"""Building the page of a report: read the records, draw missing images, write `index.html`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gradcam_cli.callbacks.record import is_training
from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.reporting.backfill import add_missing_images
from gradcam_cli.reporting.document import build_document, num_invalid
from gradcam_cli.reporting.image_store import ReportImages, recorded_render
from gradcam_cli.reporting.levels import within_budget
from gradcam_cli.reporting.page import render
from gradcam_cli.reporting.run_log import REPORT_FOLDER, RUN_LOG_NAME, load_run_log
from gradcam_cli.reporting.run_records import merge_runs, read_records, records_from_npz
from gradcam_cli.reporting.training_page import read_training, render_training
from gradcam_cli.storage.files import open_readable, write_output

PAGE_NAME = "index.html"
GENERATOR_TAG = b'<meta name="generator" content="gradcam'
"""Every report contains this tag in its first bytes."""
HEAD_BYTES = 500


class Report(NamedTuple):
    """A written page: its path, and the number of damaged results that it does not contain."""

    path: Path
    num_invalid: int

    def to_dict(self) -> dict[str, Any]:
        """Return the page as a JSON object."""
        return {"path": str(self.path), "num_invalid": self.num_invalid}


def build_report(directory: Path, jsonl_path: Path | None = None) -> Report:
    """Write `index.html` from the records of a run and its output files, or from the record of a training.

    Args:
        directory: directory of the results.
        jsonl_path: output of `--json`; None reads the run log or, without one, the `.npz` files of the directory.

    Raises:
        InputError: the run has no results.
        OutputError: `index.html` was not written by gradcam, or cannot be written.
    """
    check_not_foreign_page(directory)
    run_log = None if jsonl_path else load_run_log(directory)
    if not jsonl_path and not run_log and is_training(directory):
        training, damaged = read_training(directory)
        return Report(write_output(directory / PAGE_NAME, render_training(training).encode(), directory), damaged)
    source = read_records(jsonl_path) if jsonl_path else run_log or records_from_npz(directory)
    recorded = list(merge_runs(source))
    drawn = add_missing_images(recorded, ReportImages(directory, recorded_render(recorded)))
    records = list(within_budget(drawn))
    document = build_document(records)
    if not document["entries"]:
        path = jsonl_path or directory / REPORT_FOLDER / RUN_LOG_NAME
        raise InputError(f"{path} contains no results", "a report requires at least one processed input")
    path = write_output(directory / PAGE_NAME, render(document).encode(), directory)
    return Report(path, num_invalid(records))


def check_not_foreign_page(directory: Path) -> None:
    """Check that a report would not overwrite another web page.

    Raises:
        OutputError: `index.html` exists and was not written by gradcam.
    """
    page = directory / PAGE_NAME
    try:
        with open_readable(page) as file:
            is_report = GENERATOR_TAG in file.read(HEAD_BYTES)
    except FileNotFoundError:
        return
    except OSError as error:
        raise OutputError(f"{page} cannot be written: {error.strerror or error}") from error
    if not is_report:
        raise OutputError(f"{page} exists and is no report of gradcam", "choose another output directory")
