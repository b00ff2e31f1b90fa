"""Match annotated categories with the classes of a model."""

from __future__ import annotations

from collections.abc import Iterable

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations.parsing import FormatError
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.labels import Labels, normalize_name


def class_selectors(value: object, name: str) -> list[str]:
    """Return the class indices and names of a class map's entry as texts.

    Raises:
        FormatError: the entry is neither an index or a name nor a list of these.
    """
    selectors = value if isinstance(value, list) else [value]
    if not all(type(selector) in (int, str) for selector in selectors):
        raise FormatError(f"class indices or names for {name!r}", value)
    return [str(selector) for selector in selectors]


def match_categories(
    categories: Iterable[tuple[str, int | None]],
    labels: Labels,
    class_count: int,
    class_map: dict[str, list[str]] | None = None,
) -> dict[str, list[int]]:
    """Return the model's classes of annotated categories; categories without a class are left out.

    Without a class map, a category matches the classes of the same name or WordNet id, ignoring case, spaces,
    underscores and hyphens. Of several such classes the one whose index is the category's id is taken, otherwise
    all. If the model has no names, a category matches the class whose index is its id.

    Args:
        categories: names and ids of the annotated categories.
        labels: the model's class names.
        class_count: number of the model's classes.
        class_map: the classes of each category; categories that it does not list have no class.

    Returns:
        Class indices, ascending, by category name.

    Raises:
        UsageError: the class map names an unknown or an ambiguous class.
    """
    mapped = (
        None
        if class_map is None
        else {name: _class_indices(class_map[name], labels, class_count) for name in class_map}
    )
    named = _index_by_name(labels, class_count)
    matches: dict[str, set[int]] = {}
    for name, category_id in categories:
        indices = named.get(normalize_name(name), []) if mapped is None else mapped.get(name, [])
        by_id = [category_id] if category_id is not None and 0 <= category_id < class_count else []
        if mapped is None and (category_id in indices or not labels.names):
            indices = by_id
        matches.setdefault(name, set()).update(indices)
    return {name: sorted(indices) for name, indices in matches.items() if indices}


def _index_by_name(labels: Labels, class_count: int) -> dict[str, list[int]]:
    named: dict[str, list[int]] = {}
    for names in (labels.names, labels.ids):
        for index, name in enumerate(names[:class_count]):
            named.setdefault(normalize_name(name), []).append(index)
    return named


def _class_indices(selectors: list[str], labels: Labels, class_count: int) -> list[int]:
    resolved = resolve_classes(selectors, labels, class_count)
    for selector in resolved:
        if selector.index_or_rank < 0:
            raise UsageError(f"class map: expected class indices or names, got the rank {selector.text}")
    return [selector.index_or_rank for selector in resolved]
