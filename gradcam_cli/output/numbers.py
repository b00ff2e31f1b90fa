"""Numbers as text in tables and messages."""

from __future__ import annotations


def format_number(value: float | None, spec: str = ".3f") -> str:
    """Return a number in a format such as `.3f`, or `-` for None."""
    return "-" if value is None else format(value, spec)
