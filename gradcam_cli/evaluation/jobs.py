"""Which photos `gradcam evaluate` measures, and for which classes of their annotations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradcam_cli.console import escape_control_chars, log
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.annotations.class_map import read_class_map
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.matching import index_by_image, match_categories
from gradcam_cli.images.source import Source
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.classifier import Classifier


class EvaluationTask(NamedTuple):
    """A photo to read and what to evaluate on it; see `evaluation.Item`."""

    source: Source
    classes: tuple[int, ...] | None = None
    annotations: tuple[Annotation, ...] = ()


def plan_tasks(
    options: dict[str, Any],
    sources: Sequence[Source],
    annotations: Sequence[Annotation] | None,
    classifier: Classifier,
) -> list[EvaluationTask]:
    """Return a job for every photo and annotated class that the model knows.

    Raises:
        InputError: no photo has annotations of the model's classes.
    """
    if annotations is None:
        return [EvaluationTask(source) for source in sources]
    class_map = read_class_map(options["class_map"]) if options["class_map"] else None
    categories = {annotation.category: annotation.category_id for annotation in annotations}
    meaning = match_categories(categories.items(), classifier.labels, classifier.class_count, class_map)
    if options["class_"]:
        wanted = resolve_classes([options["class_"]], classifier.labels, classifier.class_count)[0].index_or_rank
        if wanted < 0:
            raise UsageError(
                f"--class {options['class_']}: expected a class's index or name beside --annotations, got a rank"
            )
        meaning = {category: [wanted] for category, classes in meaning.items() if wanted in classes}
    find, jobs = index_by_image(annotations), []
    for source in sources:
        found: dict[str, list[Annotation]] = {}
        for annotation in find(source.name):
            if annotation.category in meaning:
                found.setdefault(annotation.category, []).append(annotation)
        jobs += [EvaluationTask(source, tuple(meaning[category]), tuple(group)) for category, group in found.items()]
    if unknown := [category for category in categories if category not in meaning]:
        listed = escape_control_chars(", ".join(unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        log.warning("annotated classes that are not asked for or that the model lacks: %d (%s)", len(unknown), listed)
    if not jobs:
        raise InputError(
            f"none of {len(sources)} photos has an annotation of a class of the model",
            "--class-map FILE says which classes of the model the annotations mean",
        )
    if bare := len(sources) - len({job.source.name for job in jobs}):
        log.warning("photos without an annotation of a class of the model, left out: %d", bare)
    return jobs
