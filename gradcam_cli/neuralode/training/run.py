"""Steps of `gradcam neuralode train` and `evaluate`: load data, build a trainer, export samples, evaluate a file."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import ModelError, OutputError, UsageError
from gradcam_cli.images.encode import encode
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.neuralode.layers.find_block import ode_blocks
from gradcam_cli.neuralode.layers.odenet import LabeledDense, build_odenet
from gradcam_cli.neuralode.training import solver_check
from gradcam_cli.neuralode.training.config import DataConfig, NetworkConfig, TrainingConfig
from gradcam_cli.neuralode.training.datasets import DATASETS, Dataset, load_data, place_on_canvas
from gradcam_cli.neuralode.training.evaluate import Predictions, evaluate, require_finite
from gradcam_cli.neuralode.training.optimizer import OPTIMIZERS
from gradcam_cli.neuralode.training.trainer import EpochStats, Trainer
from gradcam_cli.output.naming import safe_filename
from gradcam_cli.storage.files import write_output

MAX_SAMPLE_NAME = 60
"""Maximum number of characters of a class name in a file name."""


def load_dataset(config: DataConfig) -> Dataset:
    """Load a data set, and paste its images on a canvas if the configuration has a canvas scale.

    Raises:
        UsageError: the data set does not exist or is invalid.
        GradcamError: Keras cannot download it.
    """
    data = load_data(config.name, config.input_size)
    return place_on_canvas(data, config.canvas_scale, config.seed)[0] if config.canvas_scale else data


def default_settings(name: str, data: Dataset, optimizer: str) -> dict[str, Any]:
    """Return the fields of `TrainingConfig` whose defaults depend on the data set or the optimizer.

    Args:
        name: name of the data set.
        data: its images.
        optimizer: a name in `OPTIMIZERS`.
    """
    settings = {
        "random_shift": data.random_shift,
        "random_flip": data.random_flip,
        "learning_rate": OPTIMIZERS[optimizer],
    }
    if spec := DATASETS.get(name):
        settings |= {"epochs": spec.epochs, "batch_size": spec.batch_size}
    return settings


def make_trainer(
    data: Dataset, data_config: DataConfig, network_config: NetworkConfig, config: TrainingConfig
) -> Trainer:
    """Build a network with seeded weights, and its trainer.

    Raises:
        UsageError: the configuration is invalid, or the images are too small for the network.
    """
    keras.utils.set_random_seed(config.seed)
    model = build_odenet(data.x_train.shape[1:], data.labels, **network_config.arguments())
    source = {"data": data_config.name, "data_sha256": _checksum(data), "canvas_scale": data_config.canvas_scale}
    return Trainer(model, data, config, {**asdict(network_config), **source})


def _checksum(data: Dataset) -> str:
    """Return the SHA-256 of training images, classes and class names: a resumed training must have the same."""
    checksum = hashlib.sha256(repr((data.x_train.shape, data.labels)).encode())
    for array in (data.x_train, data.y_train):
        checksum.update(np.ascontiguousarray(array).data)
    return checksum.hexdigest()


def export_samples(data: Dataset, directory: Path) -> None:
    """Write the first test image of each class as PNG.

    Classes whose names are equal as file names have their number in the name.

    Raises:
        OutputError: a file cannot be written.
    """
    names = [safe_filename(label)[:MAX_SAMPLE_NAME] for label in data.labels]
    repeated = {name for name, count in Counter(name.casefold() for name in names).items() if count > 1}
    for y, name in enumerate(names):
        for i in np.flatnonzero(data.y_test == y)[:1]:
            rgb = np.broadcast_to(data.x_test[i], (*data.x_test.shape[1:3], 3))
            file = f"{y}-{name}.png" if name.casefold() in repeated or not name else f"{name}.png"
            write_output(directory / file, encode(np.ascontiguousarray(rgb)), directory)


def tensorboard_writer(directory: Path) -> Callable[[EpochStats], None]:
    """Return a function that writes the metrics of an epoch as TensorBoard events, without the package tensorboard.

    Raises:
        OutputError: a file cannot be written; also raised by the function.
    """
    with _tensorboard_errors(directory):
        return _open_tensorboard(directory)


@contextlib.contextmanager
def _tensorboard_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = re.sub(
            r"^\{\{.*?\}\} | \[Op:.*$", "", str(error).strip().splitlines()[0]
        )  # names of TensorFlow's nodes
        raise OutputError(f"--tensorboard {directory} cannot be written: {reason}") from error


def _open_tensorboard(directory: Path) -> Callable[[EpochStats], None]:
    writer, metadata = tf.summary.create_file_writer(str(directory)), tf.compat.v1.SummaryMetadata(data_class=1)
    metadata.plugin_data.plugin_name = "scalars"

    def write(epoch: EpochStats) -> None:
        with _tensorboard_errors(directory), writer.as_default():
            for name, value in epoch._asdict().items():
                if name != "epoch" and value == value:
                    tf.summary.write(name, tf.constant(value, tf.float32), epoch.epoch, metadata)
            writer.flush()

    return write


class ClassifierEvaluation(NamedTuple):
    """The evaluation of a trained classifier on test images.

    Attributes:
        labels: names of the classes.
        y: (n,) true classes.
        predictions: loss and logits.
        solvers: results with the solver of the training and with other solvers; empty for a network without ODEBlock.
    """

    labels: tuple[str, ...]
    y: np.ndarray
    predictions: Predictions
    solvers: list[solver_check.SolverResult]


def evaluate_file(
    path: Path,
    config: DataConfig,
    *,
    allow_unsafe: bool = False,
    packages: Sequence[str] = (),
    check_solvers: bool = True,
) -> ClassifierEvaluation:
    """Evaluate a saved classifier on the test images of a data set.

    Args:
        path: the .keras file.
        config: the data set.
        allow_unsafe: whether code in the model file may run.
        packages: packages whose registered classes the file may contain.
        check_solvers: whether the classifier is also evaluated with other solvers.

    Raises:
        ModelError: the file was not written by `gradcam neuralode train`.
        UsageError: the images or classes of the data set do not match the model.
        GradcamError: an ODE cannot be solved, or a logit is not finite.
    """
    model = load_model_file(path, allow_unsafe, packages)
    labels = _model_labels(model, path)
    data = load_dataset(config)
    shape = model.input_shape[1:]
    if data.x_test.shape[1:] != shape or len(data.labels) > len(labels):
        raise UsageError(
            f"--data {config.name}: the model requires images of shape {shape} and {len(labels)} classes, "
            f"got {data.x_test.shape[1:]} and {len(data.labels)} classes"
        )
    _check_class_names(data.labels, labels, config.name)
    block = next(iter(ode_blocks(model).values()), None)
    x, y = data.x_test, data.y_test
    if block is None:
        return ClassifierEvaluation(labels, y, require_finite(evaluate(model, x, y)), [])
    settings = solver_check.SOLVER_VARIANTS if check_solvers else ()
    predictions, solvers = solver_check.evaluate_with_solvers(model, block, x, y, settings)
    return ClassifierEvaluation(labels, y, require_finite(predictions), solvers)


def _model_labels(model: keras.Model, path: Path) -> tuple[str, ...]:
    """Return the class names that `gradcam neuralode train` stores in the last layer."""
    last = model.layers[-1] if model.layers else None
    labels = last.labels if isinstance(last, LabeledDense) else ()
    if not labels or model.output_shape != (None, len(labels)) or not all(isinstance(label, str) for label in labels):
        raise ModelError(f"{path} was not written by `gradcam neuralode train`")
    return tuple(labels)


def _check_class_names(labels: Sequence[str], model_labels: Sequence[str], name: str) -> None:
    """Require equal class names, unless those of the data or of the model are numbers."""
    numbers = tuple(map(str, range(len(model_labels))))
    if numbers[: len(labels)] == tuple(labels) or numbers == tuple(model_labels):
        return
    for number, (label, model_label) in enumerate(zip(labels, model_labels, strict=False)):
        if label != model_label:
            raise UsageError(f"--data {name}: class {number} is {label} in the data and {model_label} in the model")
