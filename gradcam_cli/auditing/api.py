"""The function `audit` of the Python package, and the audit of a prepared run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import keras

from gradcam_cli.auditing.collect import collect, draw_sources, images_in_memory
from gradcam_cli.auditing.concepts import import_nmf
from gradcam_cli.auditing.records import Audit
from gradcam_cli.auditing.run import MIN_IMAGES, NUM_CONCEPTS, Auditor
from gradcam_cli.console import ShowProgress, log, no_progress
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.discover import find_sources, no_images_error
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.source import Source
from gradcam_cli.keywords import python_function
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.truth import read_truth
from gradcam_cli.output.notebook_progress import show_in_notebook
from gradcam_cli.pipeline.api_options import LOAD_OPTIONS, classifier_of
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.reading import require_model_of_images
from gradcam_cli.pipeline.run import PreparedRun, prepare_run

AUDIT_OPTIONS = ("fit", "max_value", "score", "precision", "max_pixels", *LOAD_OPTIONS)
"""The keywords of `explain` that `audit` accepts."""


@python_function(*AUDIT_OPTIONS)
def audit(
    directory: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    *,
    layer: str = "auto",
    truth: str | os.PathLike[str] | None = None,
    num_concepts: int = NUM_CONCEPTS,
    min_images: int = MIN_IMAGES,
    max_images: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> Audit:
    """Find what the classes of a data set lean on: concepts of their activations, and marks at a fixed place.

    Args:
        directory: a directory of images, or several, or image files.
        model: as for `explain`.
        layer: its path in the model, or `auto`.
        truth: true classes of the images: `parent`, the names of their folders, or a table; None: the predicted ones.
        num_concepts: number of concepts of a class.
        min_images: a class with fewer images has no concepts.
        max_images: more images are drawn at random; None: as many as 2 GiB hold.
        batch_size: images in one pass; None chooses it from the size of the model and the free memory.
        seed: of all random draws.
        progress: show the number of images and classes in a notebook.
        **options: other keywords of `explain`: `fit`, `max_value`, `score`, `precision`, `max_pixels`, and how the
            model is loaded.

    Returns:
        The audit: `classes`, a `ClassAudit` for each class with its `concepts`; `marks`; `failures`, the images that
        could not be used; `check(max_marks=0)`, whether there are marks.

    Raises:
        InputError: no image could be used, or no class has enough images.
        UsageError: scikit-learn is missing, the layer does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    import_nmf()
    for name, value in (("num_concepts", num_concepts), ("min_images", min_images), ("max_images", max_images)):
        if value is not None and (not isinstance(value, int) or value < 1):
            raise UsageError(f"{name}: expected a positive integer, got {value!r}")
    inputs = [directory] if isinstance(directory, (str, os.PathLike)) else list(directory)
    sources = list(find_sources([os.fspath(path) for path in inputs]))
    if not sources:
        raise no_images_error([os.fspath(path) for path in inputs])
    config = ExplainConfig(
        layers=(layer,),
        classes=("truth" if truth is not None else "top",),
        truth=read_truth(os.fspath(truth)) if truth is not None else None,
        batch_size=batch_size,
        **{name: options[name] for name in ("fit", "max_value", "score", "precision") if name in options},
    )
    run = prepare_audit(classifier_of(model, options), config)
    return run_audit(
        run,
        sources,
        num_concepts=num_concepts,
        min_images=min_images,
        max_images=max_images,
        max_pixels=options.get("max_pixels", MAX_PIXELS),
        seed=seed,
        show=show_in_notebook(progress),
    )


def prepare_audit(classifier: Classifier, config: ExplainConfig) -> PreparedRun:
    """Prepare the pass over the images of an audit.

    Raises:
        UsageError: the model takes no images, has no classes, or has further inputs that differ from image to image;
            other errors of `prepare_run`.
    """
    require_model_of_images(classifier.rank, "an audit")
    if classifier.rows:
        raise UsageError("--other-inputs: an audit requires the same further inputs for all images")
    if classifier.is_regression:
        raise UsageError("an audit requires a model with classes, got one with a single value")
    return prepare_run(classifier, config)


def run_audit(
    run: PreparedRun,
    sources: Sequence[Source],
    *,
    num_concepts: int = NUM_CONCEPTS,
    min_images: int = MIN_IMAGES,
    max_images: int | None = None,
    max_pixels: int = MAX_PIXELS,
    threads: int | None = None,
    seed: int = 0,
    show: ShowProgress = no_progress,
) -> Audit:
    """Audit the images of a prepared run; the keywords are those of `audit`.

    Raises:
        InputError: no image could be used, or no class has enough images.
    """
    limit = min(max_images or len(sources), images_in_memory(run))
    drawn = draw_sources(sources, limit, seed)
    if left_out := len(sources) - len(drawn):
        log.warning("%s of %s images are drawn at random, the others are left out", f"{limit:,}", f"{len(sources):,}")
    with show("reading", len(drawn)) as advance:
        collection = collect(run, drawn, max_pixels=max_pixels, threads=threads, advance=advance)
    if not collection.names:
        first = collection.failures[0]
        raise InputError(f"no image was audited; {first.source}: {first.error}", first.hint)
    _check_counts(Counter(collection.classes), min_images)
    auditor = Auditor(run, collection, num_concepts, min_images, seed)
    with show("auditing classes", len(set(collection.classes))) as advance:
        classes = auditor.classes(advance)
    layer = next(iter(run.layers))
    return Audit(run.classifier.name, layer, tuple(classes), tuple(collection.failures), left_out)


def _check_counts(counts: Counter[int], min_images: int) -> None:
    """Check the numbers of images of the classes.

    Raises:
        InputError: no class has enough images.
    """
    largest = max(counts.values())
    if largest < min_images:
        raise InputError(
            f"no class can be audited: expected {min_images} images of a class, got at most {largest}",
            "give more images, or a smaller --min-images",
        )
    if len(counts) == 1:
        log.warning("all images are of one class: marks cannot be told from other content")
