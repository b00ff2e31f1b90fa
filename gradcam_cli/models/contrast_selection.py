"""Parsing of `--against` values: the classes with which the explained one is contrasted."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import TRUTH, ClassSelector, resolve_classes
from gradcam_cli.models.labels import Labels

NEAREST = "nearest"
NEAREST_COUNT = 3
"""Number of classes of `nearest`."""
_MAX_DIGITS = 6


def resolve_against(
    requests: Sequence[str], labels: Labels, class_count: int, classes: Sequence[ClassSelector]
) -> list[ClassSelector]:
    """Resolve requests: a class or a group of classes as for `--class`, `nearest` or `nearestN`.

    Args:
        requests: values of `--against`.
        labels: the model's class names.
        class_count: the model's number of classes.
        classes: the explained classes.

    Returns:
        The selectors of the classes, then those of the nearest ones: -r for the r-th nearest.

    Raises:
        UsageError: a request is no class or an explained one, or `nearestN` requires more classes than there are.
    """
    numbers = {text: match[1] for text in requests if (match := re.fullmatch(rf"{NEAREST}([0-9]*)", text))}
    named = [text for text in requests if text not in numbers]
    for text in named:
        if re.fullmatch(rf"top[0-9]*|{TRUTH}", text) and text not in labels.names:
            raise UsageError(
                f"--against {text}: expected a class, {NEAREST} or {NEAREST}N, got {text}", "give the class by its name"
            )
    try:
        selectors = resolve_classes(named, labels, class_count)
    except UsageError as error:
        hint = error.hint and error.hint.replace("--class", "--against").replace(", a name, top or topN", " or a name")
        raise UsageError(f"--against: {error.message}", hint) from error
    taken = {index for each in selectors for index in _indices(each)}
    for each, other in ((each, other) for each in classes for other in selectors):
        if {*_indices(each)} & {*_indices(other)}:
            raise UsageError(
                f"--against {other.text}: the explained class {each.text} is among the contrasted ones",
                "contrast a class with other classes",
            )
    available = class_count - len(taken) - max((len(each.members) or 1 for each in classes), default=1)
    nearest = max((_count(text, digits, available) for text, digits in numbers.items()), default=0)
    return [*selectors, *(ClassSelector(f"{NEAREST}{rank}", -rank) for rank in range(1, nearest + 1))]


def _indices(selector: ClassSelector) -> Collection[int]:
    """Return the classes of a selector that are known before the images are."""
    return selector.members or ((selector.index_or_rank,) if selector.index_or_rank >= 0 else ())


def _count(text: str, digits: str, available: int) -> int:
    """Return the number of classes of `nearest` or `nearestN`; `nearest` has all if they are fewer."""
    count = int(digits) if 0 < len(digits) <= _MAX_DIGITS else NEAREST_COUNT
    if available < 1 or len(digits) > _MAX_DIGITS or (digits and not 1 <= count <= available):
        raise UsageError(f"--against {text}: expected 1 to {available} other classes, got {digits or count}")
    return min(count, available)
