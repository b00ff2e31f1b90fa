"""The tasks of an evaluation: which images are evaluated, and for which annotated classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gradcam_cli.console import escape_control_chars, log
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.annotations.class_map import read_class_map
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.matching import match_categories
from gradcam_cli.images.matching import index_by_path
from gradcam_cli.images.source import Source
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.classifier import Classifier

MAX_LISTED_CATEGORIES = 5


class EvaluationTask(NamedTuple):
    """An image to read, the candidates of its class, and the annotations of that class; see `EvaluationItem`."""

    source: Source
    classes: tuple[int, ...] | None = None
    annotations: tuple[Annotation, ...] = ()


def plan_tasks(
    sources: Sequence[Source],
    annotations: Sequence[Annotation] | None,
    classifier: Classifier,
    target_class: str | None = None,
    class_map: Path | None = None,
) -> list[EvaluationTask]:
    """Return one task per image; with annotations, one per image and annotated class of the model.

    Args:
        sources: the images.
        annotations: annotated objects, or None.
        classifier: the model.
        target_class: index or name of the only class to evaluate with annotations, or None for all.
        class_map: file of `--class-map`, or None.

    Raises:
        InputError: no image has an annotation of a class of the model.
        UsageError: the class or the class map is invalid.
    """
    if annotations is None:
        return [EvaluationTask(source) for source in sources]
    categories = {annotation.category: annotation.category_id for annotation in annotations}
    entries = read_class_map(class_map) if class_map else None
    classes = match_categories(categories.items(), classifier.labels, classifier.class_count, entries)
    if target_class:
        index = _class_index(target_class, classifier)
        classes = {category: [index] for category, indices in classes.items() if index in indices}
    _log_ignored_categories([category for category in categories if category not in classes])
    tasks = _annotated_tasks(sources, annotations, classes)
    if not tasks:
        raise InputError(
            f"none of {len(sources)} images has an annotation of a class of the model",
            "map annotated classes to the model's classes with --class-map FILE",
        )
    if ignored := len(sources) - len({task.source.name for task in tasks}):
        log.warning("ignored images without an annotation of a class of the model: %d", ignored)
    return tasks


def _class_index(target_class: str, classifier: Classifier) -> int:
    index = resolve_classes([target_class], classifier.labels, classifier.class_count)[0].index_or_rank
    if index < 0:
        raise UsageError(f"--class {target_class}: --annotations requires a class index or name, got a rank")
    return index


def _annotated_tasks(
    sources: Sequence[Source], annotations: Sequence[Annotation], classes: dict[str, list[int]]
) -> list[EvaluationTask]:
    find, tasks = index_by_path((annotation.file, annotation) for annotation in annotations), []
    for source in sources:
        groups: dict[str, list[Annotation]] = {}
        for annotation in find(source.name):
            if annotation.category in classes:
                groups.setdefault(annotation.category, []).append(annotation)
        tasks += [EvaluationTask(source, tuple(classes[category]), tuple(group)) for category, group in groups.items()]
    return tasks


def _log_ignored_categories(ignored: Sequence[str]) -> None:
    if ignored:
        listed = escape_control_chars(", ".join(ignored[:MAX_LISTED_CATEGORIES]))
        more = ", ..." if len(ignored) > MAX_LISTED_CATEGORIES else ""
        log.warning(
            "ignored annotated classes, not requested or not in the model: %d (%s%s)", len(ignored), listed, more
        )
