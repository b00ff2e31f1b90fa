"""Hints for misspelt names and files, and for several values in one."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from itertools import islice

MAX_LISTED = 10_000
"""Names of a directory that are compared."""
REPEAT = "repeat the option: "
"""Start of the hint for several values in one."""


def near_matches(text: str, known: Iterable[str], count: int = 5) -> list[str]:
    """Return the known names that are most similar to a text, the best first; case is ignored."""
    import difflib

    by_folded: dict[str, str] = {}
    for name in known:
        by_folded.setdefault(name.casefold(), name)
    return [by_folded[name] for name in difflib.get_close_matches(text.casefold(), by_folded, count)]


def did_you_mean(text: str, known: Iterable[str], form: str = "{}") -> str | None:
    """Return `did you mean NAME?` with the most similar known name, or None.

    Args:
        text: what was given.
        known: the names that exist.
        form: how the name is written in the hint.
    """
    near = near_matches(text, known, 1)
    return f"did you mean {form.format(near[0])}?" if near else None


def repeat_option(option: str, text: str) -> str | None:
    """Return how to give several values, if a text contains commas: the option is repeated."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return REPEAT + " ".join(f"{option} {shlex.quote(part)}" for part in parts) if parts[1:] else None


def near_file(path: str | os.PathLike[str]) -> str | None:
    """Return `did you mean FILE?` for a path that does not exist, or None.

    The first missing part of the path is compared with the names in its directory.
    """
    missing, rest = os.fspath(path).rstrip(os.sep), ""
    if "://" in missing:
        return None
    while (parent := os.path.dirname(missing)) and parent != missing and not os.path.isdir(parent):
        rest = os.path.join(os.path.basename(missing), rest) if rest else os.path.basename(missing)
        missing = parent
    try:
        with os.scandir(parent or ".") as entries:
            near = near_matches(os.path.basename(missing), (entry.name for entry in islice(entries, MAX_LISTED)), 1)
    except (OSError, ValueError):
        return None
    found = os.path.join(parent, near[0], *([rest] if rest else [])) if near else ""
    return f"did you mean {found}?" if near and (not rest or os.path.exists(found)) else None
