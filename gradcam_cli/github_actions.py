"""Annotations of GitHub Actions: errors and warnings that the page of a run shows, beside the file if there is one.

Source: GitHub Docs, Workflow commands for GitHub Actions.
"""

from __future__ import annotations

import os
import re
from typing import Literal

_MESSAGE = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_MESSAGE, ":": "%3A", ",": "%2C"}
_COMMAND = re.compile(r"^\s*(?=::)|#(?=#\[)")


def is_enabled() -> bool:
    """Return whether this process is a step of a GitHub Actions job."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def annotation(level: Literal["error", "warning"], message: str, file: str | None = None) -> str:
    """Return the workflow command of an annotation.

    Args:
        level: `error` or `warning`.
        message: the text; several lines are possible.
        file: the file of which it is an error, or None. A path in the repository is made relative to it.
    """
    parameters = f" file={_escape(_in_repository(file), _PROPERTY)}" if file else ""
    return f"::{level}{parameters}::{_escape(message, _MESSAGE)}"


def escape_commands(text: str) -> str:
    r"""Return a line that is not a workflow command, though it has the name of a file: `\::error::` for `::error::`.

    Commands begin with `::` at the start of a line of either stream, or with `##[` anywhere in it.
    """
    return _COMMAND.sub(lambda match: match[0] + "\\", text)


def _escape(text: str, codes: dict[str, str]) -> str:
    return "".join(codes.get(character, character) for character in text)


def _in_repository(file: str) -> str:
    """Return a path relative to the checkout, or the path itself if it is elsewhere."""
    root = os.environ.get("GITHUB_WORKSPACE")
    if not root or "://" in file:
        return file
    path = os.path.relpath(file, root)
    return file if path.startswith(os.pardir) else path
