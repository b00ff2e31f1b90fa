"""Groups of classes: the classes whose names match a pattern such as `*_cat`."""

from __future__ import annotations

import fnmatch
import re

from gradcam_cli.errors import UsageError
from gradcam_cli.models.labels import Labels, normalize_name
from gradcam_cli.near_matches import near_matches

GROUP = 2**31 - 1
"""Takes the place of the index of a group until the groups of a run are numbered."""


def is_pattern(text: str, labels: Labels) -> bool:
    """Return whether a request has a wildcard, `*` or `?`, and is not itself the name of a class."""
    return bool(re.search(r"[*?]", text)) and normalize_name(text) not in map(normalize_name, labels.names)


def find_group(pattern: str, labels: Labels, class_count: int) -> tuple[int, ...]:
    """Return the indices of the classes whose names match: `*` is any text, `?` any character; case is ignored.

    Raises:
        UsageError: no name matches, or all do, or the model has no class names.
    """
    names = [normalize_name(name) for name in labels.names[:class_count]]
    if not names:
        raise UsageError(f"class {pattern!r}: the model has no class names", "give --labels FILE or class indices")
    expression = re.compile(fnmatch.translate(normalize_name(pattern).replace("[", "[[]")))
    members = tuple(index for index, name in enumerate(names) if expression.match(name))
    if not members:
        listed = ", ".join(f"{names.index(name)} {labels.names[names.index(name)]}" for name in _near(pattern, names))
        raise UsageError(
            f"class {pattern!r}: no class matches", f"near matches: {listed}" if listed else "give *PART* of a name"
        )
    if len(members) == len(names) > 1:
        raise UsageError(f"class {pattern!r}: all classes match, expected a part of them")
    return members


def _near(pattern: str, names: list[str]) -> list[str]:
    """Return names that contain the longest part of a pattern without wildcards, or are similar to it."""
    part = max(map(normalize_name, re.split(r"[*?]", pattern)), key=len)
    return ([name for name in names if part and part in name] or near_matches(part, names))[:10]
