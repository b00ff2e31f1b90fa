"""The function `evaluate` of the Python package."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import keras

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.evaluate import EvaluationItem, MetricConfig
from gradcam_cli.evaluation.metrics.faithfulness import CURVE_STEPS, DELETION_BASELINES
from gradcam_cli.evaluation.metrics.registry import MOSAIC, metric_choices, select_metrics, with_companions
from gradcam_cli.evaluation.mosaics.config import MOSAICS, PROBABILITY, MosaicConfig
from gradcam_cli.evaluation.results import EvaluationResults
from gradcam_cli.evaluation.run import (
    EvaluationConfig,
    evaluate_items,
    prepare_maps,
    prepare_mosaic_run,
    require_colors,
    uses_images,
)
from gradcam_cli.images.batches import count_images, read_images
from gradcam_cli.images.load import Failure, LoadedImage
from gradcam_cli.keywords import names_misspelt_keywords
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.output.notebook_progress import notebook_progress
from gradcam_cli.pipeline.api_options import OPTIONS, classifier_of, config_of, reader_of, several
from gradcam_cli.pipeline.config import check_choice

EVALUATION_OPTIONS = tuple(
    name for name in OPTIONS if name not in ("counterfactual", "against", "gamma", "target", "rgb", "top_k")
)
"""The keywords of `explain` that `evaluate` accepts."""


@names_misspelt_keywords(*EVALUATION_OPTIONS)
def evaluate(
    images: Iterable[Any],
    model: str | os.PathLike[str] | keras.Model | Classifier = "vgg19",
    *,
    metrics: str | Sequence[str] = (),
    layers: str | Sequence[str] = "auto",
    methods: str | Sequence[str] = "gradcam",
    target_class: int | str = "top",
    batch_size: int | None = None,
    steps: int = CURVE_STEPS,
    deletion_baseline: str = "blur",
    seed: int = 0,
    mosaics: int = MOSAICS,
    mosaic_probability: float = PROBABILITY,
    progress: bool = True,
    **options: Any,
) -> EvaluationResults:
    """Measure how faithful the maps of many images are, as `gradcam evaluate` does, beside class-agnostic baselines.

    Args:
        images: as for `explain_many`.
        model: as for `explain`.
        metrics: names that `gradcam metrics` prints, families such as `family:complexity`, or `all`; without names, the
            default metrics. The command also compares maps with annotations.
        layers: one path or several, or `auto`.
        methods: one name or several, in `LAYER_METHODS`.
        target_class: an index or a name; `top` is the first prediction of each image.
        batch_size: images in one pass; None chooses it from the size of the model and the free memory.
        steps: steps of deletion and insertion.
        deletion_baseline: replacement of deleted pixels: `blur`, `mean` or `black`.
        seed: of all noise and random subsets, classes and weights, of the choice of mosaics, and of the bootstrap
            intervals.
        mosaics: number of mosaics of four images each, for `family:mosaics`.
        mosaic_probability: the smallest probability of the predicted class of an image in a mosaic, 0 to 1.
        progress: show the number of evaluated images in a notebook.
        **options: other keywords of `explain`: settings of the maps, limits, and how the model is loaded.

    Returns:
        The results: `rows`, a `MetricRow` for each map and baseline, in the order of the images; `mean_metrics`, the
        means of each layer and method with their `intervals`, numbers of `images` and `ranks` by metric; `agreement`,
        whether the metrics agree; `below_baselines`, the methods that are not better than a baseline; `mosaics`, the
        number of mosaics and of valid cases; `failures`, the images that could not be evaluated.

    Raises:
        InputError: no image could be evaluated, or fewer than four classes reach `mosaic_probability`.
        UsageError: a single image is given, a metric, layer or class does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    for name in several(metrics):
        check_choice("metrics", name, metric_choices())
    check_choice("deletion_baseline", deletion_baseline, tuple(DELETION_BASELINES))
    if not isinstance(steps, int) or steps < 2:
        raise UsageError(f"steps: expected an integer from 2 on, got {steps!r}")
    names = with_companions(select_metrics(several(metrics), annotated=False))
    if uses_images(names) and set(names) & set(MOSAIC) and isinstance(images, Iterator):
        raise UsageError(
            "images: expected a list, an array or a dataset, got an iterator: mosaics read the images a second time",
            "call evaluate for the metrics on mosaics alone",
        )
    classifier = classifier_of(model, options)
    config = EvaluationConfig(
        MetricConfig(names, steps, deletion_baseline, seed=seed),
        config_of(layers, target_class, methods, batch_size, options),
        str(target_class),
        mosaics=MosaicConfig(mosaics, mosaic_probability, seed),
    )
    run = prepare_maps(classifier, config)
    mosaic_run = prepare_mosaic_run(run, config)
    results = EvaluationResults(names, seed=seed)

    def read() -> Iterator[LoadedImage | Failure]:
        return (require_colors(image) for image in read_images(images, reader_of(classifier, options)))

    if mosaic_run:
        with notebook_progress("choosing images", count_images(images), enabled=progress) as advance:
            for _ in mosaic_run.find(read()):
                advance()
    if uses_images(names):
        with notebook_progress("evaluated", count_images(images), enabled=progress) as advance:
            for result in evaluate_items(run, config, map(EvaluationItem, read())):
                results.add(result)
                advance()
    if mosaic_run:
        results.failures += [] if uses_images(names) else mosaic_run.found.failures
        with notebook_progress("evaluated mosaics", len(mosaic_run.mosaics), enabled=progress) as advance:
            for result in mosaic_run.evaluate():
                results.add(result)
                advance()
    if results.failures and not results.rows:
        first = results.failures[0]
        raise InputError(f"no image was evaluated; {first.source}: {first.error}", first.hint)
    return results
