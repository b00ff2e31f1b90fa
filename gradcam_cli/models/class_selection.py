"""The classes to explain: parsing `--class` and finding classes by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from gradcam_cli.errors import UsageError
from gradcam_cli.models.labels import Labels, normalize_name


class ClassSelector(NamedTuple):
    """A class that was asked for.

    Attributes:
        text: as asked, each rank of `topN` by itself: `top2`, `tabby`, `281`.
        index_or_rank: the class index, or -r for the class of rank r in the prediction.
    """

    text: str
    index_or_rank: int


def expand_top_n(requests: Sequence[str | int]) -> list[str]:
    """Write `topN` out as `top1` ... `topN` and drop what was asked for twice, keeping the order."""
    texts: list[str] = []
    for request in requests:
        rank = re.fullmatch(r"top(\d*)", str(request))
        last = int(rank[1] or 1) if rank else 0
        texts += [f"top{r}" for r in range(1, last + 1)] or [str(request)]
    return list(dict.fromkeys(texts))


def resolve_classes(requests: Sequence[str | int], labels: Labels, class_count: int) -> list[ClassSelector]:
    """Turn requests into classes: an index, a name (exact, then a unique part), `top` or `topN`.

    Args:
        requests: as the person wrote them.
        labels: the model's class names.
        class_count: how many classes the model has.

    Raises:
        UsageError: no class, or more than one, is meant; near matches are listed.
    """
    resolved: dict[int, ClassSelector] = {}
    for text in expand_top_n(requests):
        rank = re.fullmatch(r"top(\d+)", text)
        code = -int(rank[1]) if rank else _find_class(text, labels, class_count)
        if not -class_count <= code < class_count or (rank and code == 0):
            expected = f"top1 to top{class_count}" if rank else f"an index from 0 to {class_count - 1}"
            raise UsageError(f"class {text}: expected {expected}, got {text}")
        resolved.setdefault(code, ClassSelector(text, code))
    return list(resolved.values())


def _find_class(text: str, labels: Labels, class_count: int) -> int:
    if re.fullmatch(r"\d+", text):
        return int(text.lstrip("0")[:9] or "0")  # no model has as many classes as nine digits count
    if text in labels.ids:
        return labels.ids.index(text)
    names = [normalize_name(name) for name in labels.names[:class_count]]
    wanted = normalize_name(text)
    found = [index for index, name in enumerate(names) if name == wanted]
    found = found or [index for index, name in enumerate(names) if wanted and wanted in name]
    if len(found) == 1:
        return found[0]
    if not names:
        raise UsageError(f"class {text!r}: the model has no class names", "give --labels FILE, or a class index")
    near = found or [names.index(name) for name in difflib.get_close_matches(wanted, names, 5)]
    listed = ", ".join(f"{index} {labels.names[index]}" for index in near[:10])
    raise UsageError(
        f"class {text!r}: expected one class, got {len(found) or 'none'}",
        f"near matches: {listed}" if listed else "give a class index, a name, top or topN",
    )
