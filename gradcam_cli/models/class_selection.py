"""Parsing of `--class` values and lookup of classes by index, name or rank."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_groups import GROUP, find_group, is_pattern
from gradcam_cli.models.labels import Labels, normalize_name
from gradcam_cli.near_matches import near_matches, repeat_option

MAX_RANK = 100_000
TRUTH = "truth"
"""The request for the true class of each image."""
TRUE_CLASS = -(2**31)
"""Takes the place of the index of the true class, which differs from image to image."""


class ClassSelector(NamedTuple):
    """A requested class.

    Attributes:
        text: the request, with `topN` expanded: `top2`, `tabby`, `281`, `truth`, `*_cat`.
        index_or_rank: the class index, -r for the class with the r-th largest score, `TRUE_CLASS`, or `GROUP`.
        members: the indices of the classes of a group, otherwise ().
    """

    text: str
    index_or_rank: int
    members: tuple[int, ...] = ()


def expand_top_n(requests: Sequence[str | int]) -> list[str]:
    """Expand `topN` to `top1` ... `topN` and remove duplicates; the order is kept."""
    texts: list[str] = []
    for request in requests:
        rank = re.fullmatch(r"top(\d*)", str(request))
        last = _last_rank(str(request), rank[1] or "1") if rank else 0
        texts += [f"top{r}" for r in range(1, last + 1)] or [str(request)]
    return list(dict.fromkeys(texts))


def _last_rank(request: str, digits: str) -> int:
    last = int(digits.lstrip("0")[:9] or "0")  # nine digits exceed any number of classes
    if last > MAX_RANK:
        raise UsageError(f"class {request}: expected top1 to top{MAX_RANK}, got {request}")
    return last


def resolve_classes(
    requests: Sequence[str | int], labels: Labels, class_count: int, *, has_truth: bool = False
) -> list[ClassSelector]:
    """Resolve requests: a class index, a name (exact match, then a unique substring), `top`, `topN` or `truth`.

    `index:10` is the class of index 10, and `name:10` the class named 10. A pattern such as `*_cat` is the group of the
    classes whose names match, or the class if only one does.

    Args:
        requests: values of `--class`.
        labels: the model's class names.
        class_count: the model's number of classes.
        has_truth: whether the true classes of the images are given; otherwise `truth` is a name like any other.

    Raises:
        UsageError: a request matches no class or several, or is the index of one class and the name of another; the
            hint lists near matches.
    """
    resolved: dict[int | tuple[int, ...], ClassSelector] = {}
    indices = {str(request) for request in requests if isinstance(request, int)}
    for text in expand_top_n(requests):
        if has_truth and text == TRUTH:
            resolved.setdefault(TRUE_CLASS, ClassSelector(TRUTH, TRUE_CLASS))
            continue
        if is_pattern(text, labels) and len(members := find_group(text, labels, class_count)) > 1:
            resolved.setdefault(members, ClassSelector(text, GROUP, members))
            continue
        rank = re.fullmatch(r"top(\d+)", text)
        index_or_rank = (
            -int(rank[1]) if rank else _find_class(f"index:{text}" if text in indices else text, labels, class_count)
        )
        if not -class_count <= index_or_rank < class_count or (rank and index_or_rank == 0):
            expected = f"top1 to top{class_count}" if rank else f"an index from 0 to {class_count - 1}"
            raise UsageError(f"class {text}: expected {expected}, got {text}")
        resolved.setdefault(index_or_rank, ClassSelector(text, index_or_rank))
    return list(resolved.values())


def groups_of(selectors: Iterable[ClassSelector]) -> tuple[tuple[int, ...], ...]:
    """Return the members of all groups among the selectors, each group once."""
    return tuple(dict.fromkeys(selector.members for selector in selectors if selector.members))


def number_groups(
    selectors: Iterable[ClassSelector], groups: Sequence[tuple[int, ...]], class_count: int
) -> list[ClassSelector]:
    """Return the selectors with the units of their groups: the k-th group of a run has the unit class_count + k."""
    return [
        each._replace(index_or_rank=class_count + groups.index(each.members)) if each.members else each
        for each in selectors
    ]


def find_exact_class(text: str, labels: Labels, class_count: int) -> int:
    """Return the class that a text names exactly: by its name, its index, or its WordNet id.

    Raises:
        UsageError: no class or several have this name.
    """
    index = _find_class(text, labels, class_count, by_substring=False)
    if index >= class_count:
        raise UsageError(f"class {text}: expected an index from 0 to {class_count - 1}, got {text}")
    return index


def _find_class(text: str, labels: Labels, class_count: int, *, by_substring: bool = True) -> int:
    if by_substring and is_pattern(text, labels):
        return find_group(text, labels, class_count)[0]
    prefix, _, value = text.partition(":")
    number = value if prefix == "index" else text
    if re.fullmatch(r"[0-9]+", number):
        index = int(number.lstrip("0")[:9] or "0")  # nine digits exceed any number of classes
        if number is text:
            _require_same_class(text, index, labels)
        return index
    if text in labels.ids:
        return labels.ids.index(text)
    return _find_name(value if prefix == "name" else text, labels, class_count, by_substring=by_substring)


def _require_same_class(text: str, index: int, labels: Labels) -> None:
    """Check that no other class is named like the index."""
    for other, name in enumerate(labels.names):
        if name.strip() == text and other != index:
            raise UsageError(
                f"class {text}: the class of index {index} is {labels.name(index)!r}, and the class named {text!r} has "
                f"index {other}",
                f"give --class index:{index} or --class name:{text}",
            )


def _find_name(text: str, labels: Labels, class_count: int, *, by_substring: bool) -> int:
    names = [normalize_name(name) for name in labels.names[:class_count]]
    query = normalize_name(text)
    matches = [index for index, name in enumerate(names) if name == query]
    parts = [] if matches else [index for index, name in enumerate(names) if query and query in name]
    matches = matches or (parts if by_substring else [])
    if len(matches) == 1:
        return matches[0]
    if text == TRUTH and by_substring:
        raise UsageError("class truth requires --truth", "give --truth parent or --truth FILE.csv")
    if not names:
        raise UsageError(f"class {text!r}: the model has no class names", "give --labels FILE or a class index")
    near = matches or parts or [names.index(name) for name in near_matches(query, names)]
    listed = ", ".join(f"{index} {labels.names[index]}" for index in near[:10])
    repeat = None if any("," in name for name in names) else repeat_option("--class", text)
    raise UsageError(
        f"class {text!r}: {len(matches)} classes match" if matches else f"class {text!r} not found",
        repeat or (f"near matches: {listed}" if listed else "give a class index, a name, top or topN"),
    )
