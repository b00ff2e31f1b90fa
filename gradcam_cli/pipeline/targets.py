"""The target of a run: the model with the output that is explained, and the embeddings of reference images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.fit import fit_box
from gradcam_cli.images.load import Unexplained, load_image
from gradcam_cli.images.source import Source
from gradcam_cli.models.classifier import Classifier
from gradcam_cli.models.image_rows import selected_rows
from gradcam_cli.network.target import parse_target
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.contrast import has_single_output
from gradcam_cli.pipeline.model_input import fit_to_model
from gradcam_cli.pipeline.reading import read_options_of


def classifier_for_target(classifier: Classifier, config: ExplainConfig) -> Classifier:
    """Return the classifier with the target of a run; a reference image is fitted to the model input as its images are.

    Raises:
        UsageError: the model has no such output.
        ModelError: its output does not have the form of the target.
        InputError: a reference image cannot be read.
    """
    if config.target == "class":
        return classifier
    plain = classifier.for_target(parse_target(config.target), config.target)
    if not plain.target.files:
        return plain
    embeddings = tuple(_embedding(file, plain, config) for file in plain.target.files)
    key = (config.target, *(embedding.tobytes() for embedding in embeddings))
    return plain.for_target(plain.target.with_embeddings(embeddings), key)


def classifier_with_groups(
    classifier: Classifier, config: ExplainConfig, groups: tuple[tuple[int, ...], ...]
) -> Classifier:
    """Return the classifier with groups of classes as further units.

    Args:
        classifier: from `classifier_for_target`.
        config: of the run.
        groups: the members of each group.

    Raises:
        UsageError: the target is not a class.
    """
    if classifier.target.kind != "class" or has_single_output(classifier):
        raise UsageError(
            f"a group of classes requires --target class and an output for each class, got --target {config.target}"
        )
    return classifier.for_target(replace(classifier.target, groups=groups), (config.target, groups))


def _embedding(file: str, classifier: Classifier, config: ExplainConfig) -> np.ndarray:
    loaded = load_image(Source(file), read_options_of(config, classifier.rank))
    if isinstance(loaded, Unexplained):
        raise InputError(f"--target: {loaded.source}: {loaded.error}", loaded.hint)
    crop_box = fit_box(loaded.space, loaded.shape, classifier.input_shape[:-1], config.fit)
    pixels = fit_to_model(classifier, loaded, crop_box)
    with selected_rows(classifier.rows, [file]):
        return classifier.embedding(pixels)
