"""Tables on standard output: aligned columns for a person, one JSON object a line for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TextIO


def write_table(rows: Sequence[Mapping[str, Any]], stdout: TextIO, *, as_json: bool) -> None:
    """Write rows that have the same keys, which are the columns' headings; numbers stand at the right."""
    if as_json:
        stdout.writelines(json.dumps(row) + "\n" for row in rows)
        return
    headings = list(rows[0])
    columns = [[heading, *(_cell(row[heading]) for row in rows)] for heading in headings]
    widths = [max(map(len, column)) for column in columns]
    right = [all(isinstance(row[heading], int | float) for row in rows) for heading in headings]
    for cells in zip(*columns, strict=True):
        aligned = (
            cell.rjust(width) if at_right else cell.ljust(width)
            for cell, width, at_right in zip(cells, widths, right, strict=True)
        )
        stdout.write("  ".join(aligned).rstrip() + "\n")


def format_number(value: float | None, spec: str = ".3f") -> str:
    """Return a number in a format such as `.3f`, or `-` for None."""
    return "-" if value is None else format(value, spec)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "x".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
