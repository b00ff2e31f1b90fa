"""The function `evaluate` of the Python package."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import keras

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.evaluation.evaluate import EvaluationItem, MetricConfig
from gradcam_cli.evaluation.metrics.faithfulness import CURVE_STEPS, DELETION_BASELINES
from gradcam_cli.evaluation.metrics.registry import metric_choices, select_metrics
from gradcam_cli.evaluation.results import EvaluationResults
from gradcam_cli.evaluation.run import EvaluationConfig, evaluate_items, prepare_maps, require_colors
from gradcam_cli.images.batches import count_images, read_images
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
        seed: of all noise and random subsets, classes and weights.
        progress: show the number of evaluated images in a notebook.
        **options: other keywords of `explain`: settings of the maps, limits, and how the model is loaded.

    Returns:
        The results: `rows`, a `MetricRow` for each map and baseline, in the order of the images; `mean_metrics`, the
        means of each layer and method; `failures`, the images that could not be evaluated.

    Raises:
        InputError: no image could be evaluated.
        UsageError: a single image is given, a metric, layer or class does not exist, or an option value is wrong.
        ModelError, WeightsError: the model cannot be used.
        TypeError: a keyword does not exist.
    """
    for name in several(metrics):
        check_choice("metrics", name, metric_choices())
    names = select_metrics(several(metrics), annotated=False)
    check_choice("deletion_baseline", deletion_baseline, tuple(DELETION_BASELINES))
    if not isinstance(steps, int) or steps < 2:
        raise UsageError(f"steps: expected an integer from 2 on, got {steps!r}")
    classifier = classifier_of(model, options)
    config = EvaluationConfig(
        MetricConfig(names, steps, deletion_baseline, seed=seed),
        config_of(layers, target_class, methods, batch_size, options),
        str(target_class),
    )
    run = prepare_maps(classifier, config)
    results = EvaluationResults(names)
    loaded = read_images(images, reader_of(classifier, options))
    items = (EvaluationItem(require_colors(image)) for image in loaded)
    with notebook_progress("evaluated", count_images(images), enabled=progress) as advance:
        for result in evaluate_items(run, config, items):
            results.add(result)
            advance()
    if results.failures and not results.rows:
        first = results.failures[0]
        raise InputError(f"no image was evaluated; {first.source}: {first.error}", first.hint)
    return results
