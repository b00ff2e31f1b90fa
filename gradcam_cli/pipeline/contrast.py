"""The contrast of a run, from its settings and for the images of a batch. No TensorFlow is needed to check it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.methods.registry import require_negatable
from gradcam_cli.models.contrast_selection import resolve_against
from gradcam_cli.network.target import parse_target, select_head
from gradcam_cli.pipeline.config import DEFAULTS, ExplainConfig

if TYPE_CHECKING:
    from gradcam_cli.models.class_selection import ClassSelector
    from gradcam_cli.models.classifier import Classifier


def check_contrast(config: ExplainConfig) -> None:
    """Check the settings of a contrast that need no model.

    Raises:
        UsageError: a method or the target has no contrast, or there is a weight without contrasted classes.
    """
    if not config.against:
        if config.gamma != DEFAULTS["gamma"]:
            raise UsageError(f"--gamma {config.gamma:g} requires --against", "give --against nearest or a class")
        return
    require_negatable(config.methods, "--against")
    if parse_target(config.target).kind != "class":
        raise UsageError(f"--against: expected --target class, got --target {config.target}")


def has_single_output(classifier: Classifier) -> bool:
    """Return whether one value stands for both classes of a classifier, or for none."""
    shape = select_head(classifier.traced.output_shape, classifier.target.head)
    return classifier.target.kind == "class" and bool(shape[-1] == 1)


def find_contrast(
    config: ExplainConfig, classifier: Classifier, classes: Sequence[ClassSelector]
) -> list[ClassSelector]:
    """Return the contrasted classes of a run; none without `--against`.

    Raises:
        UsageError: a class does not exist or is an explained one, or the model has a single output.
    """
    if not config.against:
        return []
    if has_single_output(classifier):
        raise UsageError(
            "--against: expected a model with an output for each class, got a single output",
            "its map for one class is that of the other with the opposite sign: --counterfactual",
        )
    return resolve_against(config.against, classifier.labels, classifier.class_count, classes)


def contrast_selectors(against: Sequence[ClassSelector], shape: tuple[int, ...]) -> np.ndarray:
    """Return the selectors of a batch, (n, C, T) int32.

    Args:
        against: the T contrasted classes.
        shape: (n, C), of n images and C explained classes.
    """
    selectors = np.array([each.index_or_rank for each in against], np.int32)
    return np.broadcast_to(selectors, (*shape, len(against)))
