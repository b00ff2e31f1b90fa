"""Tables on standard output: aligned columns as text, or one JSON object per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from gradcam_cli.console import escape_control_chars


def write_table(rows: Sequence[Mapping[str, Any]], stdout: TextIO, *, as_json: bool) -> None:
    """Write rows with equal keys; the keys are the column headings, and numbers are right-aligned.

    A JSON line also contains the schema version and the versions of the packages.
    """
    if as_json:
        from gradcam_cli.pipeline.json_lines import json_line

        stdout.writelines(json_line(row) + "\n" for row in rows)
        return
    headings = list(rows[0])
    columns = [[escape_control_chars(heading), *(_cell(row[heading]) for row in rows)] for heading in headings]
    widths = [max(map(len, column)) for column in columns]
    is_numeric = [all(isinstance(row[heading], int | float) for row in rows) for heading in headings]
    for cells in zip(*columns, strict=True):
        aligned = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(cells, widths, is_numeric, strict=True)
        )
        stdout.write("  ".join(aligned).rstrip() + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escape_control_chars("x".join(map(str, value)) if isinstance(value, tuple | list) else str(value))
