"""Checks of the options of `gradcam INPUT...` that need no TensorFlow."""

from __future__ import annotations

from typing import Any

from gradcam_cli.images.space import RANKS
from gradcam_cli.methods.registry import require_negatable
from gradcam_cli.models.catalog import find_spec, is_model_path
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.contrast_selection import resolve_against
from gradcam_cli.models.labels import spec_labels
from gradcam_cli.models.truth import require_known_class
from gradcam_cli.output.destination import DRAWN, Destination, require_rank
from gradcam_cli.output.packages import require_packages
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.contrast import check_contrast


def validate_without_tensorflow(
    options: dict[str, Any], destination: Destination, config: ExplainConfig, rank: int
) -> None:
    """Raise the usage errors that can be found before TensorFlow is imported.

    Args:
        options: of the command.
        destination: of the files.
        config: the maps to compute.
        rank: number of spatial axes of the model's input, from `rank_of_input`.

    Raises:
        UsageError: an option has a value that cannot be used.
    """
    if set(destination.artifact_kinds) & set(DRAWN):
        from gradcam_cli.output.colors import color_table

        color_table(options["cmap"])
    require_packages(destination)
    if rank != RANKS["image"]:  # an image may also be of a model that is not known yet
        require_rank(destination.artifact_kinds, rank)
    if options["counterfactual"]:
        require_negatable(options["methods"], "--counterfactual")
    check_contrast(config)
    spec = find_spec(options["model"])
    if spec and not options["labels"] and not is_model_path(options["model"]):
        labels = spec_labels(spec)
        classes = resolve_classes(config.classes, labels, len(labels.names), has_truth=config.truth is not None)
        resolve_against(config.against, labels, len(labels.names), classes)
        if config.truth:
            require_known_class(config.truth, labels, len(labels.names))
