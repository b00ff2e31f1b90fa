"""What annotations mean: which photo they belong to, and which of a model's classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.parsing import FormatError
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.labels import Labels, normalize_name


def index_by_image(annotations: Iterable[Annotation]) -> Callable[[str], list[Annotation]]:
    """Return what finds the annotations of a photo by the path it was given as.

    `val/a.jpg` in the annotation file is the photo `/data/val/a.jpg`; of two that fit, the longer.
    If none fits by all its parts, the bare file name will do where only one annotated photo has it.
    A name without an extension, as ImageNet's annotations have it, fits whatever the photo's is.
    """
    files: dict[tuple[str, ...], list[Annotation]] = {}
    for annotation in annotations:
        files.setdefault(_path_parts(annotation.file), []).append(annotation)
    bare: dict[tuple[str, ...], list[list[Annotation]]] = {}
    files.pop((), None)  # names such as "/" are no photo's
    for parts, found in files.items():
        bare.setdefault(parts[-1:], []).append(found)

    def find(photo: str) -> list[Annotation]:
        spellings = _path_variants(_path_parts(photo))
        tails = [parts[start:] for start in range(len(spellings[0])) for parts in spellings]
        fitting = [files[tail] for tail in tails if tail in files]
        alone = [bare[parts[-1:]][0] for parts in spellings if len(bare.get(parts[-1:], ())) == 1]
        return next(iter(fitting + alone), [])

    return find


def _path_parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[\\/]", path) if part not in ("", "."))


def _path_variants(parts: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return a path's parts as they are, and without the extension if the name has just one."""
    stem = [part.partition(".")[0] for part in parts[-1:] if part.count(".") == 1]
    return [parts, (*parts[:-1], *stem)] if stem else [parts]


def _class_selectors(value: object, name: str) -> list[str]:
    requests = value if isinstance(value, list) else [value]
    if not all(type(request) in (int, str) for request in requests):
        raise FormatError(f"class indices or names for {name!r}", value)
    return [str(request) for request in requests]


def match_categories(
    categories: Iterable[tuple[str, int | None]],
    labels: Labels,
    class_count: int,
    class_map: dict[str, list[str]] | None = None,
) -> dict[str, list[int]]:
    """Find the model's classes that annotated classes mean; those that mean none are left out.

    Without a map that is the class of this name or WordNet id, whatever its case, spaces, underscores
    and hyphens; of several such the one whose index is the category's id, if one is, otherwise all.
    Where the model has no names it is the class whose index is the category's id.

    Args:
        categories: names and ids of the annotated classes.
        labels: the model's class names.
        class_count: how many classes the model has.
        class_map: which classes each name means instead; one that is not in it means none.

    Returns:
        Class indices, ascending, by category name.

    Raises:
        UsageError: the map speaks of a class that the model does not have, or of several as one.
    """
    mapped = (
        None
        if class_map is None
        else {name: _class_indices(class_map[name], labels, class_count) for name in class_map}
    )
    named = _index_by_name(labels, class_count)
    meant: dict[str, set[int]] = {}
    for name, number in categories:
        found = named.get(normalize_name(name), []) if mapped is None else mapped.get(name, [])
        by_id = [number] if number is not None and 0 <= number < class_count else []
        if mapped is None and (number in found or not labels.names):
            found = by_id
        meant.setdefault(name, set()).update(found)
    return {name: sorted(indices) for name, indices in meant.items() if indices}


def _index_by_name(labels: Labels, class_count: int) -> dict[str, list[int]]:
    named: dict[str, list[int]] = {}
    for names in (labels.names, labels.ids):
        for index, name in enumerate(names[:class_count]):
            named.setdefault(normalize_name(name), []).append(index)
    return named


def _class_indices(selectors: list[str], labels: Labels, class_count: int) -> list[int]:
    found = resolve_classes(selectors, labels, class_count)
    for request in found:
        if request.index_or_rank < 0:
            raise UsageError(f"class map: expected class indices or names, got {request.text}, a rank")
    return [request.index_or_rank for request in found]
