"""The run that explains mosaics: which size they have, and which maps are computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.evaluation.metrics.mosaic import SIDE, tile_places
from gradcam_cli.evaluation.metrics.registry import IMPOSSIBLE
from gradcam_cli.methods.registry import names_of_kind
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.network.layers import iter_layers
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import PreparedRun, prepare_run


def num_predictions(rank: int) -> int:
    """Return the number of first predictions for a mosaic that make a case valid: one more than it has tiles.

    Args:
        rank: number of spatial axes; for images, a case is valid if the class of its tile is among the first five.
    """
    return len(tile_places(rank)) + 1


def prepare_mosaics(classifier: Classifier, explain: ExplainConfig, metrics: Sequence[str]) -> PreparedRun:
    """Prepare the maps of mosaics: of all methods and baselines, for the classes of its tiles.

    Args:
        classifier: the model.
        explain: layers, methods and settings of the maps; its classes are replaced.
        metrics: the requested metrics.

    Raises:
        UsageError: the model has fewer classes than a mosaic has tiles, or `impossible` is requested with `aug_smooth`.
    """
    tiles = len(tile_places(classifier.rank))
    if classifier.class_count < tiles:
        raise UsageError(f"mosaics require a model of at least {tiles} classes, got {classifier.class_count}")
    if explain.aug_smooth and IMPOSSIBLE in metrics:
        raise UsageError(f"--aug-smooth does not support the metric {IMPOSSIBLE}")
    methods = list(dict.fromkeys([*explain.methods, *names_of_kind("baseline")]))
    settings = {
        "methods": methods,
        "classes": (f"top{tiles}",),
        "top_k": num_predictions(classifier.rank),
        "fit": "squash",
        "truth": None,
    }
    return prepare_run(mosaic_classifier(classifier), replace(explain, **settings))  # type: ignore[arg-type]


def mosaic_classifier(classifier: Classifier) -> Classifier:
    """Return the classifier for mosaics: at twice its input size if it takes inputs of any size, or itself.

    At twice the size, each input has the size at which the model was sure of its class. A mosaic for a model of
    a fixed size is squashed to this size.
    """
    shape = getattr(classifier.model, "input_shape", None)
    inner = [getattr(layer, "input_shape", None) for _, layer in iter_layers(classifier.model)]
    inputs = [each for each in (shape, *inner) if isinstance(each, tuple) and len(each) == classifier.rank + 2]
    if shape not in inputs or any(side is not None for each in inputs for side in each[1:-1]):
        return classifier
    *shape, channels = classifier.input_shape
    larger = replace(classifier, input_shape=(*(SIDE * side for side in shape), channels))
    try:
        return larger if larger.layer_outputs else classifier
    except ModelError:  # a layer inside requires the size
        return classifier
