"""`gradcam neuralode train`: train a Neural ODE classifier."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.neuralode.options import (
    canvas_option,
    data_config,
    data_option,
    network_options,
    output_options,
    setup,
    size_option,
    solver_options,
    training_options,
)
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.protection import check_output
from gradcam_cli.cli.run_summary import RunClock
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import log, progress
from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.training.config import NetworkConfig, TrainingConfig

if TYPE_CHECKING:
    from gradcam_cli.neuralode.training.datasets import Dataset
    from gradcam_cli.neuralode.training.evaluate import Predictions
    from gradcam_cli.neuralode.training.trainer import EpochStats, Trainer

EPILOG = """\
Examples:
  gradcam neuralode train --data digits -o digits.keras    built in, one minute
  gradcam neuralode train --data mnist -o mnist.keras --csv-log mnist.csv
  gradcam neuralode train --data images/ --input-size 64 -o net.keras --resume
"""


@click.command(cls=GroupedCommand, epilog=EPILOG, short_help="Train a Neural ODE classifier.")
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
    """Train a convolutional classifier with an ODEBlock in the middle.

    The result is a .keras file that contains the class names. `gradcam IMAGE --model FILE.keras` explains it like any
    other model. Training writes a checkpoint after each epoch, next to the result. With --resume, an interrupted
    training continues, and a complete one is extended to more --epochs.
    """
    clock, target = RunClock(), options["output"]
    if target.suffix != ".keras":
        raise UsageError(f"-o {target}: expected a name ending in .keras")
    stdout = setup(ctx, options)
    from gradcam_cli.neuralode.training.class_balance import (
        chance_accuracy,
        is_imbalanced,
        warn_of_chance_accuracy,
        warn_of_missing_test_images,
        warn_of_recalls,
    )
    from gradcam_cli.neuralode.training.evaluate import per_class_rows
    from gradcam_cli.neuralode.training.files import check_training_files, checkpoint_path
    from gradcam_cli.neuralode.training.run import export_samples, load_dataset, make_trainer

    checkpoint = checkpoint_path(target)
    check_output("-o: its checkpoint", checkpoint)
    check_training_files(target, options["csv_log"], options["export_samples"], options["data"])
    if options["resume"] and target.exists() and not checkpoint.exists():
        raise UsageError(
            f"--resume: checkpoint {checkpoint} not found: {target} cannot be extended",
            "omit --resume to train from scratch",
        )
    source = data_config(options)
    data = load_dataset(source)
    imbalanced = is_imbalanced(data, source.name)
    warn_of_missing_test_images(data.y_test, data.labels)
    if options["export_samples"]:
        export_samples(data, options["export_samples"])
    trainer = make_trainer(data, source, _network_config(options), _training_config(options, data))
    if options["resume"] and checkpoint.exists():
        _resume(trainer, checkpoint)
    try:
        _run_epochs(trainer, checkpoint, options["csv_log"], options["tensorboard"])
        predictions = _write_model(trainer, data, target)
    except BaseException:
        if trainer.saved_epochs:
            log.warning("%s is kept: --resume resumes after epoch %d", checkpoint, trainer.saved_epochs)
        raise
    accuracy, classes = (
        predictions.accuracy(data.y_test),
        per_class_rows(predictions.confusion(data.y_test), data.labels),
    )
    row = _result_row(trainer, accuracy, target) | {"chance_accuracy": round(chance_accuracy(data.y_test), 6)}
    write_table([row | ({"classes": classes} if options["as_json"] else {})], stdout, as_json=options["as_json"])
    warn_of_chance_accuracy(accuracy, data.y_test)
    if imbalanced:
        warn_of_recalls(classes)
    clock.log({"epoch": len(trainer.history)}, [target])


def _resume(trainer: Trainer, checkpoint: Path) -> None:
    epochs = trainer.resume(checkpoint)
    log.info("resumed after epoch %d", len(trainer.history))
    if trainer.config.epochs != epochs and trainer.config.schedule != "constant":
        log.warning(
            "--epochs %d instead of %d: the learning rate continues on the schedule of %d epochs",
            *(trainer.config.epochs, epochs, trainer.config.epochs),
        )
    if trainer.is_complete:
        log.warning("the training is complete after epoch %d; more --epochs extend it", len(trainer.history))


def _write_model(trainer: Trainer, data: Dataset, target: Path) -> Predictions:
    """Write the trained classifier; return its predictions for the test images."""
    from gradcam_cli.neuralode.training.evaluate import evaluate, require_finite
    from gradcam_cli.neuralode.training.files import write_model

    predictions = require_finite(evaluate(trainer.model, data.x_test, data.y_test))
    write_model(trainer.model, target)
    return predictions


def _network_config(options: dict[str, Any]) -> NetworkConfig:
    return NetworkConfig(**{field.name: options[field.name] for field in fields(NetworkConfig)})


def _training_config(options: dict[str, Any], data: Dataset) -> TrainingConfig:
    """Return the training options; those that are not given depend on the data and the optimizer."""
    from gradcam_cli.neuralode.training.run import default_settings

    names = [field.name for field in fields(TrainingConfig)]
    given = {name: options[name] for name in names if options[name] is not None}
    return TrainingConfig(**{**default_settings(options["data"], data, options["optimizer"]), **given})


def _run_epochs(trainer: Trainer, checkpoint: Path, csv_log: Path | None, tensorboard: Path | None) -> None:
    """Train until the last epoch; write the logs after each epoch."""
    from gradcam_cli.neuralode.training.run import tensorboard_writer
    from gradcam_cli.neuralode.training.trainer import write_csv_log

    write_events: Callable[[EpochStats], None] | None = tensorboard_writer(tensorboard) if tensorboard else None
    epochs_left = trainer.config.epochs - len(trainer.history)
    with progress("training", epochs_left * trainer.steps_per_epoch) as advance:

        def after_step(count: int) -> None:
            advance(count)
            raise_if_interrupted()

        for epoch in trainer.epochs(checkpoint, after_step):
            log.info(_epoch_summary(epoch, trainer.config.epochs))
            if csv_log:
                write_csv_log(csv_log, trainer.history)
            if write_events:
                write_events(epoch)


def _epoch_summary(epoch: EpochStats, epochs: int) -> str:
    parts = [f"epoch {epoch.epoch}/{epochs}: loss {epoch.loss:.4f}, accuracy {epoch.accuracy:.4f}"]
    if epoch.validation_loss == epoch.validation_loss:
        parts.append(f"validation loss {epoch.validation_loss:.4f}, accuracy {epoch.validation_accuracy:.4f}")
    if epoch.nfe_forward == epoch.nfe_forward:
        parts.append(f"nfe {epoch.nfe_forward:.1f} forward, {epoch.nfe_backward:.1f} backward")
    return "; ".join([*parts, f"{epoch.seconds:.1f} s"])


def _result_row(trainer: Trainer, accuracy: float, target: Path) -> dict[str, Any]:
    last = trainer.history[-1]
    has_nfe = last.nfe_forward == last.nfe_forward
    num_params = sum(int(weight.shape.num_elements() or 1) for weight in trainer.model.trainable_variables)
    return {
        "model": str(target),
        "test_accuracy": round(accuracy, 6),
        "num_params": num_params,
        "epochs": len(trainer.history),
        "nfe_forward": round(last.nfe_forward, 2) if has_nfe else None,
        "nfe_backward": round(last.nfe_backward, 2) if has_nfe else None,
        "seconds": round(sum(epoch.seconds for epoch in trainer.history), 1),
        "peak_mb": _peak_memory_mb(),
    }


def _peak_memory_mb() -> int | None:
    """Return the maximum resident set size of this process in MB, or None on Windows."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit // 2**20
