"""Learn a classifier by gradient descent: epoch by epoch, to be interrupted and resumed at will.

After each epoch everything that the next one depends on is written to one file, at once: the weights, the optimizer's
state, what was seen so far and how it was asked for. Order and variation of the images follow from seed and epoch
alone, so that a resumed training ends with the same weights, bit for bit, as one that was left in peace.
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
from gradcam_cli.neuralode.layers.ode_block import ode_blocks
from gradcam_cli.neuralode.solver.status import failure_message
from gradcam_cli.neuralode.training.batches import iter_batches, train_validation_split
from gradcam_cli.neuralode.training.config import TrainingConfig
from gradcam_cli.neuralode.training.datasets import Dataset
from gradcam_cli.neuralode.training.evaluate import evaluate
from gradcam_cli.neuralode.training.optimizer import make_optimizer
from gradcam_cli.storage.files import atomic_write


class DivergedError(GradcamError):
    """A training whose loss is no number any more, or whose equation could not be solved."""


class EpochStats(NamedTuple):
    """What an epoch showed; evaluations are means over its steps, NaN where there is no equation or nothing held out.

    Attributes:
        epoch: from 1.
        loss: mean over the epoch's batches, as they were learned.
        accuracy: likewise, 0 to 1.
        validation_loss: of the images held out.
        validation_accuracy: likewise.
        nfe_forward: of f, a step.
        nfe_backward: of f and its vector-Jacobian product, a step.
        learning_rate: at its end.
        seconds: that it took.
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
    """A classifier that learns.

    Args:
        model: of logits; left with what it learned.
        data: what to learn from.
        config: how.
        description: what else must be the same where a training is resumed, such as the model's options.

    Raises:
        UsageError: the recipe cannot be meant.
    """

    def __init__(
        self, model: keras.Model, data: Dataset, config: TrainingConfig, description: dict[str, Any] | None = None
    ):
        if config.patience and not config.validation_split:
            raise UsageError(
                "early stop: expected images held out to judge by, got none", "add --validation 0.1, or another share"
            )
        self.model, self.config = model, config
        self.block = next(iter(ode_blocks(model).values()), None)
        self.training_data, self.validation_data = train_validation_split(data, config.validation_split, config.seed)
        self.steps_per_epoch = len(self.training_data[0]) // min(config.batch_size, len(self.training_data[0]))
        self.optimizer = make_optimizer(config, self.steps_per_epoch)
        self.optimizer.build(model.trainable_variables)
        self.config_json = json.dumps({**(description or {}), **asdict(config)}, sort_keys=True)
        self.history: list[EpochStats] = []
        self.step = tf.function(self._step, autograph=False, jit_compile=config.jit_compile)

    def epochs(
        self, checkpoint: Path | None = None, advance: Callable[[int], None] = lambda _: None
    ) -> Iterator[EpochStats]:
        """Learn, and yield after each epoch what it showed.

        Args:
            checkpoint: the file that keeps what `resume` needs, written after each epoch.
            advance: called with 1 after each step.

        Raises:
            DivergedError: the loss or a gradient is not finite, or an equation cannot be solved. The checkpoint is
                that of the epoch before.
        """
        while len(self.history) < self.config.epochs and not self._patience_exhausted():
            self.history.append(self._epoch(len(self.history), advance))
            if checkpoint:
                self._save(checkpoint)
            yield self.history[-1]

    def _epoch(self, epoch: int, advance: Callable[[int], None]) -> EpochStats:
        recipe, began = self.config, time.perf_counter()
        if self.block:
            self.block.reset_nfe()
        losses, right = [], []
        batches = iter_batches(
            *self.training_data, recipe.batch_size, recipe.seed, epoch, recipe.random_shift, recipe.random_flip
        )
        for number, (x, y) in enumerate(batches):
            loss, correct = self._run_step(epoch, number, tf.constant(x, tf.float32), tf.constant(y))
            losses.append(loss)
            right.append(correct)
            advance(1)
        forward = backward = float("nan")
        if self.block:
            forward = int(self.block.nfe_forward) / len(losses)
            backward = int(self.block.nfe_backward) / len(losses)
        held_loss = held_accuracy = float("nan")
        if len(self.validation_data[0]):
            score = evaluate(self.model, *self.validation_data)
            held_loss, held_accuracy = score.loss, score.accuracy(self.validation_data[1])
        rate = float(self.optimizer.learning_rate)
        loss, accuracy, seconds = float(np.mean(losses)), float(np.mean(right)), time.perf_counter() - began
        return EpochStats(epoch + 1, loss, accuracy, held_loss, held_accuracy, forward, backward, rate, seconds)

    def _step(self, x: tf.Tensor, y: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Learn from a batch; return its loss, the share that was right, and the size of the gradient."""
        weights = self.model.trainable_variables
        with tf.GradientTape() as tape:
            y_c = self.model(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, y_c))
            total = tf.add_n([loss, *self.model.losses])
        gradients = tape.gradient(total, [weight.value for weight in weights])
        self.optimizer.apply(gradients, weights)
        right = tf.reduce_mean(tf.cast(tf.argmax(y_c, axis=-1) == y, tf.float32))
        return loss, right, tf.linalg.global_norm(gradients)

    def _run_step(self, epoch: int, batch_index: int, x: tf.Tensor, y: tf.Tensor) -> tuple[float, float]:
        where = f"epoch {epoch + 1}, step {batch_index + 1}"
        hint = "lower the learning rate, or take another seed"
        try:
            loss, right, size = (float(value) for value in self.step(x, y))
        except tf.errors.InvalidArgumentError as error:
            raise DivergedError(f"{where}: {failure_message(error)}", hint) from error
        if not np.isfinite([loss, size]).all():
            what = "the loss" if not np.isfinite(loss) else "a gradient"
            raise DivergedError(f"{where}: {what} is not finite: the training has diverged", hint)
        return loss, right

    def _patience_exhausted(self) -> bool:
        """Whether the validation loss has had its best value long ago."""
        losses = [epoch.validation_loss for epoch in self.history]
        patience = self.config.patience
        return bool(patience and losses) and len(losses) - 1 - int(np.argmin(losses)) >= patience

    def _variables(self) -> list[Any]:
        return [*self.model.variables, *self.optimizer.variables]

    def _save(self, checkpoint: Path) -> None:
        arrays: dict[str, Any] = {f"v{i}": np.asarray(variable) for i, variable in enumerate(self._variables())}
        with atomic_write(checkpoint) as file:
            np.savez(file, asked=self.config_json, history=json.dumps(self.history), **arrays)

    def resume(self, checkpoint: Path) -> None:
        """Go on from where a checkpoint was written.

        Raises:
            UsageError: it cannot be read, or belongs to another training.
        """
        try:
            with np.load(checkpoint) as file:
                asked, history = str(file["asked"]), json.loads(str(file["history"]))
                arrays = [file[f"v{i}"] for i in range(len(self._variables()))] if asked == self.config_json else []
        except (OSError, ValueError, KeyError) as error:
            raise UsageError(f"checkpoint {checkpoint}: cannot be read: {error}") from error
        if asked != self.config_json:
            raise UsageError(
                f"checkpoint {checkpoint}: expected a training as asked for, got {_config_diff(asked, self.config_json)}",
                "give the options of the first run, or remove the checkpoint",
            )
        for variable, array in zip(self._variables(), arrays, strict=True):
            variable.assign(array)
        self.history = [EpochStats(*epoch) for epoch in history]


def write_csv_log(path: Path, history: Sequence[EpochStats]) -> None:
    """Write the epochs as CSV, with a heading."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(EpochStats._fields)
    rows.writerows(["" if value != value else f"{value:.6g}" for value in epoch] for epoch in history)
    with atomic_write(path) as file:
        file.write(text.getvalue().encode())


def _config_diff(saved: str, current: str) -> str:
    before, after = json.loads(saved), json.loads(current)
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    return ", ".join(f"{key} {before.get(key)} (now {after.get(key)})" for key in changed)
