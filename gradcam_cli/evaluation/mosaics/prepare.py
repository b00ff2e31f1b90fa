"""The run that explains mosaics: which size they have, and which maps are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.evaluation.metrics.mosaic import SIDE, TILES
from gradcam_cli.evaluation.metrics.registry import IMPOSSIBLE
from gradcam_cli.methods.registry import names_of_kind
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.layers import iter_layers
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.reading import require_model_of_images
from gradcam_cli.pipeline.run import PreparedRun, prepare_run

NUM_PREDICTIONS = 5
"""A case is valid if the class of its tile is among this number of predictions for the mosaic."""


def prepare_mosaics(classifier: Classifier, explain: ExplainConfig, metrics: Sequence[str]) -> PreparedRun:
    """Prepare the maps of mosaics: of all methods and baselines, for the classes of the four tiles.

    Args:
        classifier: the model.
        explain: layers, methods and settings of the maps; its classes are replaced.
        metrics: the requested metrics.

    Raises:
        UsageError: the model takes no images or has fewer than four classes, or `impossible` is requested with
            `aug_smooth`.
    """
    require_model_of_images(classifier.rank, "a mosaic of photos")
    if classifier.class_count < TILES:
        raise UsageError(f"mosaics require a model of at least {TILES} classes, got {classifier.class_count}")
    if explain.aug_smooth and IMPOSSIBLE in metrics:
        raise UsageError(f"--aug-smooth does not support the metric {IMPOSSIBLE}")
    methods = list(dict.fromkeys([*explain.methods, *names_of_kind("baseline")]))
    settings = {
        "methods": methods,
        "classes": (f"top{TILES}",),
        "top_k": NUM_PREDICTIONS,
        "fit": "squash",
        "truth": None,
    }
    return prepare_run(mosaic_classifier(classifier), replace(explain, **settings))  # type: ignore[arg-type]


def mosaic_classifier(classifier: Classifier) -> Classifier:
    """Return the classifier for mosaics: at twice its input size if it takes images of any size, or itself.

    At twice the size, each photo has the size at which the model was sure of its class. A mosaic for a model of
    a fixed size is squashed to this size.
    """
    shape = getattr(classifier.model, "input_shape", None)
    inner = [getattr(layer, "input_shape", None) for _, layer in iter_layers(classifier.model)]
    inputs = [each for each in (shape, *inner) if isinstance(each, tuple) and len(each) == 4]
    if shape not in inputs or any(None not in each[1:3] for each in inputs):
        return classifier
    h, w, channels = classifier.input_shape
    larger = replace(classifier, input_shape=(SIDE * h, SIDE * w, channels))
    try:
        return larger if larger.layer_outputs else classifier
    except ModelError:  # a layer inside requires the size
        return classifier
