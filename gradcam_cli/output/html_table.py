"""Tables as a notebook shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any


def html_table(rows: Sequence[Mapping[str, Any]], notes: Sequence[str] = (), max_rows: int = 60) -> str:
    """Return a table with equal keys as its headings, and paragraphs below it; all texts are escaped.

    Args:
        rows: the rows; None is an empty cell.
        notes: texts of the paragraphs.
        max_rows: further rows are only counted.
    """
    heads = "".join(f"<th>{escape(name)}</th>" for name in rows[0]) if rows else ""
    cells = ("".join(f"<td>{escape(_text(value))}</td>" for value in row.values()) for row in rows[:max_rows])
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    more = [f"and {len(rows) - max_rows:,} more"] if len(rows) > max_rows else []
    paragraphs = "".join(f"<p>{escape(note)}</p>" for note in [*more, *notes])
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>{paragraphs}"


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return "" if value is None else str(value)
