"""Training of a classifier, with checkpoints.

A checkpoint contains the weights, the optimizer's state, the metrics of all epochs and the configuration. Order and
augmentation of the images depend only on seed and epoch. Resumed training therefore ends with the same weights, bit for
bit, as uninterrupted training.
"""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from gradcam_cli.errors import GradcamError, UsageError
from gradcam_cli.neuralode.layers.find_block import ode_blocks
from gradcam_cli.neuralode.solver.status import failure_message
from gradcam_cli.neuralode.training.batches import iter_batches, train_validation_split
from gradcam_cli.neuralode.training.checkpoint import load_checkpoint, save_checkpoint
from gradcam_cli.neuralode.training.config import TrainingConfig
from gradcam_cli.neuralode.training.datasets import Dataset
from gradcam_cli.neuralode.training.evaluate import evaluate
from gradcam_cli.neuralode.training.optimizer import make_optimizer
from gradcam_cli.neuralode.training.reproducible import reproducible_sums
from gradcam_cli.storage.files import write_output


class DivergedError(GradcamError):
    """The loss or a gradient is not finite, or an ODE could not be solved."""


class EpochStats(NamedTuple):
    """The metrics of an epoch; NaN for a network without ODEBlock, or without validation images.

    Attributes:
        epoch: number of the epoch, from 1.
        loss: mean training loss over the batches.
        accuracy: mean training accuracy over the batches, 0 to 1.
        validation_loss: loss on the validation images.
        validation_accuracy: accuracy on the validation images, 0 to 1.
        nfe_forward: mean number of evaluations of f per step, forward.
        nfe_backward: mean number of evaluations of f and its vector-Jacobian product per step, backward.
        learning_rate: learning rate at the end of the epoch.
        seconds: duration of the epoch.
    """

    epoch: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    nfe_forward: float
    nfe_backward: float
    learning_rate: float
    seconds: float


class Trainer:
    """A classifier in training.

    Args:
        model: a network whose outputs are logits; its weights are updated.
        data: training images.
        config: configuration of the training.
        description: further settings that must be equal when training is resumed, such as the model's options.

    Attributes:
        history: metrics of the trained epochs.
        saved_epochs: number of epochs in the checkpoint.

    Raises:
        UsageError: the configuration is invalid.
    """

    def __init__(
        self, model: keras.Model, data: Dataset, config: TrainingConfig, description: dict[str, Any] | None = None
    ):
        if config.patience and not config.validation_split:
            raise UsageError(
                "patience requires validation images", "add --validation-split 0.1, or a different fraction"
            )
        self.model, self.config = model, config
        self.block = next(iter(ode_blocks(model).values()), None)
        self.training_data, self.validation_data = train_validation_split(data, config.validation_split, config.seed)
        self._check_images()
        self.steps_per_epoch = len(self.training_data[0]) // min(config.batch_size, len(self.training_data[0]))
        self.optimizer = make_optimizer(config, self.steps_per_epoch)
        self.optimizer.build(model.trainable_variables)
        self.config_json = json.dumps({**(description or {}), **asdict(config)}, sort_keys=True)
        self.history: list[EpochStats] = []
        self.saved_epochs = 0
        self.step = tf.function(self._step, autograph=False, jit_compile=config.jit_compile)

    def _check_images(self) -> None:
        config, (training, validation) = self.config, (len(self.training_data[0]), len(self.validation_data[0]))
        if not training or (config.validation_split and not validation):
            raise UsageError(
                f"--validation-split {config.validation_split:g}: expected at least one training and one validation "
                f"image, got {training} and {validation}"
            )
        side = min(self.training_data[0].shape[1:3])
        if config.random_shift > side:
            raise UsageError(f"--random-shift {config.random_shift}: expected at most {side}, the size of the images")

    def epochs(
        self, checkpoint: Path | None = None, advance: Callable[[int], None] = lambda _: None
    ) -> Iterator[EpochStats]:
        """Train, and yield the metrics of each epoch.

        Args:
            checkpoint: file of the checkpoint, written after each epoch.
            advance: called with 1 after each step.

        Raises:
            DivergedError: the loss or a gradient is not finite, or an ODE cannot be solved. The checkpoint is that of
                the previous epoch.
            OutputError: the checkpoint cannot be written; the previous one is unchanged.
            GradcamError: out of memory.
        """
        while not self.is_complete:
            with reproducible_sums():
                self.history.append(self._epoch(len(self.history), advance))
            if checkpoint:
                self._save(checkpoint)
            yield self.history[-1]

    def _epoch(self, epoch: int, advance: Callable[[int], None]) -> EpochStats:
        config, start = self.config, time.perf_counter()
        if self.block:
            self.block.reset_nfe()
        losses, accuracies = [], []
        batches = iter_batches(
            *self.training_data, config.batch_size, config.seed, epoch, config.random_shift, config.random_flip
        )
        for number, (x, y) in enumerate(batches):
            loss, accuracy = self._run_step(epoch, number, tf.constant(x, tf.float32), tf.constant(y))
            losses.append(loss)
            accuracies.append(accuracy)
            advance(1)
        nfe_forward = nfe_backward = float("nan")
        if self.block:
            nfe_forward = int(self.block.nfe_forward) / len(losses)
            nfe_backward = int(self.block.nfe_backward) / len(losses)
        validation_loss = validation_accuracy = float("nan")
        if len(self.validation_data[0]):
            predictions = evaluate(self.model, *self.validation_data)
            validation_loss, validation_accuracy = predictions.loss, predictions.accuracy(self.validation_data[1])
        return EpochStats(
            epoch=epoch + 1,
            loss=float(np.mean(losses)),
            accuracy=float(np.mean(accuracies)),
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            nfe_forward=nfe_forward,
            nfe_backward=nfe_backward,
            learning_rate=float(self.optimizer.learning_rate),
            seconds=time.perf_counter() - start,
        )

    def _step(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Update the weights with a batch; return its loss, its accuracy and the norm of the gradient."""
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            y_c = self.model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, y_c))
            total = tf.add_n([loss, *self.model.losses])
        gradients = tape.gradient(total, [weight.value for weight in weights])
        self.optimizer.apply(gradients, weights)
        accuracy = tf.reduce_mean(tf.cast(tf.argmax(y_c, axis=-1) == y, tf.float32))
        return loss, accuracy, tf.linalg.global_norm(gradients)

    def _run_step(self, epoch: int, batch_index: int, x: tf.Tensor, y: tf.Tensor) -> tuple[float, float]:
        where = f"epoch {epoch + 1}, step {batch_index + 1}"
        hint = "reduce the learning rate, or use a different seed"
        try:
            loss, accuracy, norm = (float(value) for value in self.step(x, y))
        except tf.errors.InvalidArgumentError as error:
            raise DivergedError(f"{where}: {failure_message(error)}", hint) from error
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise GradcamError(f"{where}: out of memory", "use a smaller --batch-size or smaller images") from error
        if not np.isfinite([loss, norm]).all():
            quantity = "the loss" if not np.isfinite(loss) else "a gradient"
            raise DivergedError(f"{where}: {quantity} is not finite: the training has diverged", hint)
        return loss, accuracy

    def _patience_exhausted(self) -> bool:
        """Whether the last `patience` epochs have not reduced the validation loss."""
        losses = [epoch.validation_loss for epoch in self.history]
        patience = self.config.patience
        return bool(patience and losses) and len(losses) - 1 - int(np.argmin(losses)) >= patience

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def _save(self, checkpoint: Path) -> None:
        save_checkpoint(checkpoint, self._variables(), self.config_json, self.history)
        self.saved_epochs = len(self.history)

    def resume(self, path: Path) -> int:
        """Load the weights, the optimizer's state and the metrics of a checkpoint.

        The number of epochs may differ from that of the checkpoint. The learning rate then continues on the schedule of
        the new number.

        Returns:
            The number of epochs that were requested when the checkpoint was written.

        Raises:
            UsageError: the checkpoint is damaged, its configuration differs, or it has more epochs than requested. The
                training is unchanged.
        """
        variables = self._variables()
        checkpoint = load_checkpoint(path, variables, self.config_json, len(EpochStats._fields))
        if len(checkpoint.history) > self.config.epochs:
            raise UsageError(
                f"--epochs {self.config.epochs}: the checkpoint {path} has {len(checkpoint.history)} epochs",
                "use at least as many epochs, or omit --resume to train from scratch",
            )
        for variable, array in zip(variables, checkpoint.arrays, strict=True):
            variable.assign(array)
        self.history = [EpochStats(int(number), *metrics) for number, *metrics in checkpoint.history]
        self.saved_epochs = len(self.history)
        return checkpoint.epochs

    @property
    def is_complete(self) -> bool:
        """Whether all epochs are trained, or the patience is exhausted."""
        return len(self.history) >= self.config.epochs or self._patience_exhausted()


def write_csv_log(path: Path, history: Sequence[EpochStats]) -> None:
    """Write the metrics of all epochs as CSV, with a header row.

    Raises:
        OutputError: the file cannot be written.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(EpochStats._fields)
    rows.writerows(["" if value != value else f"{value:.6g}" for value in epoch] for epoch in history)
    write_output(path, text.getvalue().encode())
