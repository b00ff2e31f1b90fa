"""The function `report` of the Python package."""

from __future__ import annotations

import os

from gradcam_cli.auditing.records import Audit
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.keywords import python_function
from gradcam_cli.near_matches import near_file
from gradcam_cli.reporting.audit_page import write_audit_page
from gradcam_cli.reporting.build import Report, build_report
from gradcam_cli.storage.paths import as_path, is_url


@python_function()
def report(
    results: str | os.PathLike[str] | Audit,
    directory: str | os.PathLike[str] | None = None,
    *,
    from_jsonl: str | os.PathLike[str] | None = None,
) -> Report:
    """Write `index.html`, the HTML report of a run, into the directory of its results, as `gradcam report` does.

    No model is loaded. If the run wrote no pictures for a report, they are drawn from the `.npz` files in the directory
    and from the images, if these have not changed.

    Args:
        results: the directory of a run, or an audit.
        directory: of an audit, where its page is written; the report of a run is in the directory of its results.
        from_jsonl: output of the run with `--json`; None: the run log of `--report`, or the `.npz` files.

    Returns:
        `path`, of the page, and `num_invalid`, the number of damaged results, which it does not contain.

    Raises:
        InputError: the directory does not exist, or has no results.
        UsageError: an audit has no directory, or a run has another one.
        OutputError: `index.html` was not written by gradcam, or cannot be written.
        TypeError: a keyword does not exist.
    """
    if isinstance(results, Audit):
        if directory is None:
            raise UsageError("directory: expected the directory of the page of an audit, got None")
        return Report(write_audit_page(results, as_path(directory)), 0)
    if directory is not None:
        raise UsageError("directory: the report of a run is written into the directory of its results")
    if not is_url(results) and not os.path.isdir(results):
        raise InputError(f"{results}: directory not found", near_file(results))
    return build_report(as_path(results), None if from_jsonl is None else as_path(from_jsonl))
