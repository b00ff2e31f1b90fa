"""Initial states of the flow figure: of the toy dynamics, at random, or the inputs of a model's ODEBlock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import InputError, ModelError, UsageError
from gradcam_cli.images import decode, fit
from gradcam_cli.images.discover import find_sources, no_images_error
from gradcam_cli.images.source import Source
from gradcam_cli.models.classifier import load_model
from gradcam_cli.neuralode.layers.find_block import require_single_input
from gradcam_cli.neuralode.layers.ode_block import ODEBlock


def toy_states() -> list[tf.Tensor]:
    """Return five initial states of the toy dynamics, between -3 and 3."""
    return [tf.constant([x], tf.float64) for x in np.linspace(-3, 3, 5)]


def random_states(block: ODEBlock, count: int, seed: int) -> list[tf.Tensor]:
    """Return states with independent standard normal values, each (1, ...).

    Raises:
        UsageError: the shape of the states depends on the input.
        ModelError: the block has further inputs.
    """
    require_single_input(block)
    shape = block.get_build_config()["input_shape"][1:]
    if None in shape:
        raise UsageError(f"the states of the model have the variable shape {shape}", "use --image IMAGE")
    z = np.random.default_rng(seed).normal(size=(count, 1, *shape))
    return [block.initial_state(tf.constant(x)) for x in z]


def block_inputs(model: keras.Model, block: ODEBlock, x: np.ndarray) -> list[tf.Tensor]:
    """Return the inputs (1, ...) of a block, for inputs (n, ...) of the model.

    Raises:
        ModelError: an ODE upstream of the block cannot be solved, or the block has further inputs.
    """
    require_single_input(block)
    recorded: list[tf.Tensor] = []

    def call(z: tf.Tensor, *args: Any, **kwargs: Any) -> tf.Tensor:
        recorded.append(z)
        return z  # the outputs of the model are not used

    block.call = call  # type: ignore[method-assign, assignment]
    try:
        model(x, training=False)
    except RuntimeError as error:  # Keras wraps the SolverError
        raise ModelError(f"model {model.name}: an ODE upstream of {block.name} cannot be solved") from error
    finally:
        del block.call
    return [block.initial_state(z[None]) for z in recorded[0]]


def load_images(model: keras.Model, paths: Sequence[str], preprocess: str | None) -> np.ndarray:
    """Return images as preprocessed inputs of a model, (n, h, w, c).

    Args:
        model: the model.
        paths: files or directories.
        preprocess: name of the preprocessing; None: detected.

    Raises:
        InputError: there is no image, or one cannot be read.
    """
    classifier = load_model(model, preprocess=preprocess)
    h, w, channels = classifier.input_shape
    images = [_read_image(source) for source in find_sources(paths)]
    if not images:
        raise no_images_error(paths)
    resized = [
        fit.resize_to_input(image, fit.crop_box_for(image.shape[:2], (h, w), "squash"), (h, w), channels)
        for image in images
    ]
    return classifier.preprocess(np.stack(resized))


def _read_image(source: Source) -> np.ndarray:
    try:
        return decode.decode(source.read())
    except InputError as error:
        raise InputError(f"{source.name}: {error.message}", error.hint) from error
