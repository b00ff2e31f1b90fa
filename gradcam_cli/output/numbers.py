"""Numbers as text in tables and messages."""

from __future__ import annotations


def format_number(value: float | None, spec: str = ".3f") -> str:
    """Return a number in a format such as `.3f`, or `-` for None."""
    return "-" if value is None else format(value, spec)


def format_interval(interval: tuple[float, float] | None, spec: str = ".3f") -> str:
    """Return an interval as `0.100 to 0.200`, or `-` for None."""
    return "-" if interval is None else f"{interval[0]:{spec}} to {interval[1]:{spec}}"


def format_mean(mean: float | None, interval: tuple[float, float] | None) -> str:
    """Return a mean with its interval, if it has one, as `0.150 (0.100 to 0.200)`."""
    return format_number(mean) + (f" ({format_interval(interval)})" if interval else "")
