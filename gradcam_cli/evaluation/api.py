"""The function `evaluate` of the Python package."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.annotations import read_annotations
from gradcam_cli.evaluation.evaluate import MetricConfig
from gradcam_cli.evaluation.metrics.faithfulness import CURVE_STEPS, DELETION_BASELINES
from gradcam_cli.evaluation.metrics.registry import MOSAIC, metric_choices, requested_metrics
from gradcam_cli.evaluation.mosaics.config import MOSAICS, PROBABILITY, MosaicConfig
from gradcam_cli.evaluation.mosaics.pictures import MosaicPictures
from gradcam_cli.evaluation.results import EvaluationResults
from gradcam_cli.evaluation.run import (
    SANITY_IMAGES,
    EvaluationConfig,
    EvaluationRun,
    prepare_evaluation,
    prepare_images,
    uses_images,
)
from gradcam_cli.evaluation.steps import run_evaluation
from gradcam_cli.images.batches import count_images, read_images, require_several
from gradcam_cli.images.read_options import MAX_PIXELS
from gradcam_cli.images.source import Source
from gradcam_cli.keywords import python_function
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.output.notebook_progress import show_in_notebook
from gradcam_cli.pipeline.api_options import OPTIONS, classifier_of, config_of, reader_of, several
from gradcam_cli.pipeline.config import check_choice

EVALUATION_OPTIONS = tuple(
    name for name in OPTIONS if name not in ("counterfactual", "against", "gamma", "target", "top_k", "expect")
)
"""The keywords of `explain` that `evaluate` accepts."""


@python_function(*EVALUATION_OPTIONS)
def evaluate(
    images: Iterable[Any],
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    *,
    metrics: str | Sequence[str] = (),
    annotations: str | os.PathLike[str] | None = None,
    class_map: str | os.PathLike[str] | None = None,
    layers: str | Sequence[str] = "auto",
    methods: str | Sequence[str] = "gradcam",
    target_class: int | str | None = None,
    batch_size: int | None = None,
    steps: int = CURVE_STEPS,
    deletion_baseline: str = "blur",
    tolerance: int = 0,
    also_without_relu: bool = False,
    sanity_check: bool = False,
    sanity_images: int = SANITY_IMAGES,
    seed: int = 0,
    mosaics: int = MOSAICS,
    mosaic_probability: float = PROBABILITY,
    progress: bool = True,
    **options: Any,
) -> EvaluationResults:
    """Measure the quality of the maps of many images and of class-agnostic baselines, as `gradcam evaluate` does.

    Args:
        images: as for `explain_many`; paths, if there are annotations.
        model: as for `explain`.
        metrics: names that `gradcam metrics` prints, families such as `family:complexity`, or `all`; without names, the
            default metrics.
        annotations: annotated objects: a COCO or CSV file, or a directory of Pascal VOC files.
        class_map: file of the classes of the model for annotated classes.
        layers: one path or several, or `auto`.
        methods: one name or several, in `LAYER_METHODS`.
        target_class: an index or a name; `top` is the first prediction, `truth` the true class of each image. None: the
            annotated class, without annotations the first prediction.
        batch_size: images in one pass; None chooses it from the size of the model and the free memory.
        steps: steps of deletion and insertion, from 2 on.
        deletion_baseline: replacement of deleted pixels: `blur`, `mean` or `black`.
        tolerance: of `pointing-game`, in pixels.
        also_without_relu: also evaluate maps without their ReLU, scaled to 0..1.
        sanity_check: randomize the network layer by layer and measure how the maps change.
        sanity_images: number of images of the sanity check.
        seed: of all noise and random subsets, classes and weights, of the choice of mosaics, and of the bootstrap
            intervals.
        mosaics: number of mosaics of several images each, for `family:mosaics`.
        mosaic_probability: the smallest probability of the predicted class of an image in a mosaic, 0 to 1.
        progress: show the number of evaluated images in a notebook.
        **options: other keywords of `explain`: settings of the maps, `truth`, limits, and how the model is loaded.

    Returns:
        The results: `rows`, a `MetricRow` for each map and baseline, in the order of the images; `mean_metrics`, the
        means of each layer and method with their `intervals`, numbers of `images` and `ranks` by metric; `agreement`,
        whether the metrics agree; `below_baselines`, the methods that are not better than a baseline; `mosaics`, the
        number of mosaics and of valid cases; `steps` of the sanity check; `failures`, the images that could not be
        evaluated; `check(fail_under=..., fail_above=...)`, the limits that are missed; `save_csv` and other files.

    Raises:
        InputError: no image could be evaluated, none has an annotation of a class of the model, or fewer than four
            classes reach `mosaic_probability`.
        UsageError: a single image is given, a metric, layer or class does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    for name in several(metrics):
        check_choice("metrics", name, metric_choices())
    check_choice("deletion_baseline", deletion_baseline, tuple(DELETION_BASELINES))
    for name, value, least in (("steps", steps, 2), ("tolerance", tolerance, 0), ("sanity_images", sanity_images, 1)):
        if not isinstance(value, int) or value < least:
            raise UsageError(f"{name}: expected an integer from {least} on, got {value!r}")
    if class_map is not None and annotations is None:
        raise UsageError("class_map requires annotations")
    names = requested_metrics(several(metrics), annotated=annotations is not None, target_class=target_class)
    _require_list(images, names, sanity_check=sanity_check)
    classifier = classifier_of(model, options)
    config = EvaluationConfig(
        MetricConfig(names, steps, deletion_baseline, tolerance, seed, also_without_relu),
        config_of(layers, "top", methods, batch_size, options),
        None if target_class is None else str(target_class),
        Path(class_map) if class_map is not None else None,
        max_pixels=options.get("max_pixels", MAX_PIXELS),
        sanity_images=sanity_images,
        mosaics=MosaicConfig(mosaics, mosaic_probability, seed),
    )
    if annotations is not None:
        run = prepare_evaluation(classifier, config, _sources(images), read_annotations(Path(annotations)))
    else:
        run = _prepare_images(images, classifier, config, options)
    pictures = MosaicPictures() if run.mosaics else None
    results = run_evaluation(run, sanity_check=sanity_check, pictures=pictures, show=show_in_notebook(progress))
    if results.failures and not results.rows:
        first = results.failures[0]
        raise InputError(f"no image was evaluated; {first.source}: {first.error}", first.hint)
    return results


def _require_list(images: Iterable[Any], metrics: Sequence[str], *, sanity_check: bool) -> None:
    """Check that images which are read a second time can be."""
    if not isinstance(images, Iterator):
        return
    message = "images: expected a list, an array or a dataset, got an iterator"
    if uses_images(metrics) and set(metrics) & set(MOSAIC):
        raise UsageError(
            f"{message}: mosaics read the images a second time", "call evaluate for the metrics on mosaics alone"
        )
    if sanity_check:
        raise UsageError(f"{message}: the sanity check reads the images a second time")


def _sources(images: Iterable[Any]) -> list[Source]:
    require_several(images)
    paths = list(images)
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            raise UsageError(f"annotations: expected images given as paths, got {type(path).__name__}")
    return [Source(os.fspath(path)) for path in paths]


def _prepare_images(
    images: Iterable[Any], classifier: Classifier, config: EvaluationConfig, options: dict[str, Any]
) -> EvaluationRun:
    shape = classifier.input_shape
    require_several(images, shape)
    count = count_images(images, classifier.rank)
    return prepare_images(classifier, config, lambda: read_images(images, reader_of(classifier, options)), count)
