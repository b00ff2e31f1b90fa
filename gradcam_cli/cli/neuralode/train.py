"""`gradcam neuralode train`: learn a classifier whose middle is an ordinary differential equation."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.neuralode.options import (
    canvas_option,
    data_option,
    network_options,
    output_options,
    size_option,
    solver_options,
    training_options,
)
from gradcam_cli.cli.options import general_options, quiet_tensorflow, setup_logging
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.output.naming import safe_filename

if TYPE_CHECKING:
    from gradcam_cli.neuralode.training.config import TrainingConfig
    from gradcam_cli.neuralode.training.datasets import Dataset
    from gradcam_cli.neuralode.training.trainer import EpochStats, Trainer


EPILOG = """\
Examples:
  gradcam neuralode train --data digits -o digits.keras    built in, a minute
  gradcam neuralode train --data mnist -o mnist.keras --log mnist.csv
  gradcam neuralode train --data photos/ --input-size 64 -o net.keras --resume
"""


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Learn a classifier with an equation in its middle.")
@data_option
@size_option
@canvas_option
@network_options
@solver_options
@training_options
@output_options
@general_options
@click.pass_context
def train(ctx: click.Context, /, **options: Any) -> None:
    """Learn a classifier whose middle is an ordinary differential equation.

    The gradients come from the adjoint method. The classifier is a .keras file that knows its classes, and that
    `gradcam IMAGE --model FILE.keras` explains like any other. After each epoch a checkpoint is written beside it.
    """
    target, checkpoint = options["output"], options["output"].with_suffix(".checkpoint.npz")
    if target.suffix != ".keras":
        raise UsageError(f"-o {target}: expected a name ending in .keras")
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    if options["resume"] and target.exists() and not checkpoint.exists():
        raise UsageError(f"--resume: {target} is trained to its end", "leave --resume out to train it anew")
    from gradcam_cli.models.loading import model_to_bytes
    from gradcam_cli.neuralode.training.datasets import load_data, place_on_canvas
    from gradcam_cli.neuralode.training.evaluate import evaluate
    from gradcam_cli.storage.files import write_output

    data = load_data(options["data"], options["input_size"])
    if options["canvas"]:
        data, _ = place_on_canvas(data, options["canvas"], options["seed"])
    if options["samples"]:
        _write_samples(data, options["samples"])
    trainer = _make_trainer(data, options)
    if options["resume"] and checkpoint.exists():
        trainer.resume(checkpoint)
        log.info("resumed after epoch %d", len(trainer.history))
    try:
        _train(trainer, checkpoint, options)
    except BaseException:
        if checkpoint.exists():
            log.warning("%s is kept: --resume goes on after epoch %d", checkpoint, len(trainer.history))
        raise
    score = evaluate(trainer.model, data.x_test, data.y_test)
    write_output(target, model_to_bytes(trainer.model))
    checkpoint.unlink(missing_ok=True)
    write_table([_result_row(trainer, score.accuracy(data.y_test), target)], stdout, as_json=options["as_json"])


def _write_samples(data: Dataset, directory: Path) -> None:
    """Write the first test image of each class."""
    import numpy as np

    from gradcam_cli.images.encode import encode
    from gradcam_cli.storage.files import write_output

    for y, label in enumerate(data.labels):
        for i in np.flatnonzero(data.y_test == y)[:1]:
            rgb = np.broadcast_to(data.x_test[i], (*data.x_test.shape[1:3], 3))
            write_output(directory / (safe_filename(label) + ".png"), encode(np.ascontiguousarray(rgb)))


def _make_trainer(data: Dataset, options: dict[str, Any]) -> Trainer:
    """Build the network, seeded, and what trains it."""
    import keras

    from gradcam_cli.neuralode.layers.odenet import build_odenet
    from gradcam_cli.neuralode.training.config import TrainingConfig
    from gradcam_cli.neuralode.training.datasets import DATASETS
    from gradcam_cli.neuralode.training.optimizer import OPTIMIZERS
    from gradcam_cli.neuralode.training.trainer import Trainer

    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    asked = {name: options[name] for name in names if options[name] is not None}
    usual = {"crop": data.random_shift, "flip": data.random_flip, "learning_rate": OPTIMIZERS[options["optimizer"]]}
    if known := DATASETS.get(options["data"]):
        usual |= {"epochs": known.epochs, "batch_size": known.batch_size}
    recipe: TrainingConfig = TrainingConfig(**{**usual, **asked})
    network = {name: options[name] for name in ("arch", "stem", "activation", "kinetic")}
    solving = ("gradient", "solver", "rtol", "atol", "adjoint_rtol", "adjoint_atol", "step_size", "first_step")
    network |= {name: options[name] for name in solving if options[name] is not None}
    keras.utils.set_random_seed(recipe.seed)
    model = build_odenet(data.x_train.shape[1:], data.labels, **network)
    same = {**network, "data": options["data"], "images": len(data.x_train), "canvas": options["canvas"]}
    return Trainer(model, data, recipe, same)


def _train(trainer: Trainer, checkpoint: Path, options: dict[str, Any]) -> None:
    from gradcam_cli.neuralode.training.trainer import write_csv_log

    board = _tensorboard_writer(options["tensorboard"]) if options["tensorboard"] else None
    left = trainer.config.epochs - len(trainer.history)
    with progress("learning", left * trainer.steps_per_epoch) as advance:

        def step(count: int) -> None:
            advance(count)
            raise_if_interrupted()

        for epoch in trainer.epochs(checkpoint, step):
            log.info(_epoch_summary(epoch, trainer.config.epochs))
            if options["log_file"]:
                write_csv_log(options["log_file"], trainer.history)
            if board:
                board(epoch)


def _epoch_summary(epoch: EpochStats, epochs: int) -> str:
    """Return what an epoch showed, for a person."""
    parts = [f"epoch {epoch.epoch}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"]
    if epoch.validation_loss == epoch.validation_loss:
        parts.append(f"validation {epoch.validation_loss:.4f}, {epoch.validation_accuracy:.4f}")
    if epoch.nfe_forward == epoch.nfe_forward:
        parts.append(f"f {epoch.nfe_forward:.1f} forward, {epoch.nfe_backward:.1f} backward")
    return "; ".join([*parts, f"{epoch.seconds:.1f} s"])


def _tensorboard_writer(directory: Path) -> Callable[[EpochStats], None]:
    """Return what writes an epoch's numbers for TensorBoard, which need not be installed for it."""
    import tensorflow as tf

    writer, metadata = tf.summary.create_file_writer(str(directory)), tf.compat.v1.SummaryMetadata(data_class=1)
    metadata.plugin_data.plugin_name = "scalars"

    def write(epoch: EpochStats) -> None:
        with writer.as_default():
            for name, value in epoch._asdict().items():
                if name != "epoch" and value == value:
                    tf.summary.write(name, tf.constant(value, tf.float32), epoch.epoch, metadata)
        writer.flush()

    return write


def _result_row(trainer: Trainer, accuracy: float, target: Path) -> dict[str, Any]:
    last = trainer.history[-1]
    missing = last.nfe_forward != last.nfe_forward
    weights = sum(int(weight.shape.num_elements() or 1) for weight in trainer.model.trainable_variables)
    return {
        "model": str(target),
        "test_accuracy": round(accuracy, 6),
        "parameters": weights,
        "epochs": len(trainer.history),
        "forward": None if missing else round(last.nfe_forward, 2),
        "backward": None if missing else round(last.nfe_backward, 2),
        "seconds": round(sum(epoch.seconds for epoch in trainer.history), 1),
        "peak_mb": _peak_memory(),
    }


def _peak_memory() -> int | None:
    """Return the largest resident set of this process in MB, or None where the system does not tell."""
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
