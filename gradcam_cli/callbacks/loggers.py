"""Where the maps of each epoch go besides the record: TensorBoard, W&B and MLflow, by their own interfaces.

Steps are epochs from 0 on, as the loggers of these programs count them.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from gradcam_cli.callbacks.epoch_maps import SINCE, EpochMaps
from gradcam_cli.errors import UsageError
from gradcam_cli.output.naming import safe_filename

Pictures = dict[str, np.ndarray]
"""A picture (H, W, 3) uint8 of each image with a map, by name of the image."""


class Logger(Protocol):
    """Logs the maps of epochs."""

    def log(self, maps: EpochMaps, pictures: Pictures) -> None:
        """Log an epoch; raises whatever the program raises."""

    def close(self) -> None:
        """Write what is pending."""


def scalars(maps: EpochMaps) -> dict[str, float]:
    """Return the numbers of an epoch: `gradcam/drift_last/rank` and so on, and the number of images without a map."""
    drift = {f"gradcam/drift_{since}/{name}": v for since in SINCE for name, v in maps.mean_drift(since).items()}
    return {**drift, "gradcam/without_map": float(len(maps.errors))}


class TensorBoard:
    """Writes events into the log directory; images have the tag `gradcam/NAME`."""

    def __init__(self, directory: Path) -> None:
        import tensorflow as tf

        self._summary = tf.summary
        self._writer = tf.summary.create_file_writer(str(directory))

    def log(self, maps: EpochMaps, pictures: Pictures) -> None:
        """Log an epoch."""
        with self._summary.record_if(True), self._writer.as_default(step=maps.epoch):
            for name, value in scalars(maps).items():
                self._summary.scalar(name, value)
            for name, picture in pictures.items():
                self._summary.image(f"gradcam/{name}", picture[None])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


class WeightsAndBiases:
    """Logs to the active run of W&B, against `gradcam/epoch`, so that other loggers keep their own steps."""

    def __init__(self, directory: Path) -> None:
        self._wandb: Any = import_module("wandb")
        self._run = self._wandb.run
        if self._run is None:
            raise UsageError("wandb: expected an active run, got none", "call wandb.init() before model.fit")
        self._run.define_metric("gradcam/*", step_metric="gradcam/epoch")

    def log(self, maps: EpochMaps, pictures: Pictures) -> None:
        """Log an epoch."""
        images = [self._wandb.Image(picture, caption=name) for name, picture in pictures.items()]
        self._run.log({**scalars(maps), "gradcam/epoch": maps.epoch, **({"gradcam/maps": images} if images else {})})

    def close(self) -> None:
        """The run is ended by the program that started it."""


class MLflow:
    """Logs to the active run of MLflow."""

    def __init__(self, directory: Path) -> None:
        self._mlflow: Any = import_module("mlflow")
        if self._mlflow.active_run() is None:
            raise UsageError("mlflow: expected an active run, got none", "call mlflow.start_run() before model.fit")

    def log(self, maps: EpochMaps, pictures: Pictures) -> None:
        """Log an epoch."""
        self._mlflow.log_metrics(scalars(maps), step=maps.epoch)
        for number, (name, picture) in enumerate(pictures.items(), start=1):
            key = f"gradcam/{number:03} {safe_filename(Path(name).name)}"
            self._mlflow.log_image(picture, key=key.translate(str.maketrans("[]", "  ")), step=maps.epoch)

    def close(self) -> None:
        """The run is ended by the program that started it."""


class LoggerKind(NamedTuple):
    """A kind of loggers: its package, and the function that opens one for a log directory."""

    package: str
    open: Callable[[Path], Logger]


LOGGERS = {
    "tensorboard": LoggerKind("tensorboard", TensorBoard),
    "wandb": LoggerKind("wandb", WeightsAndBiases),
    "mlflow": LoggerKind("mlflow", MLflow),
}
"""The values of `to`."""


def require_loggers(names: tuple[str, ...]) -> None:
    """Check that loggers exist and are installed.

    Raises:
        UsageError: one does not, or is not.
    """
    for name in names:
        if name not in LOGGERS:
            raise UsageError(f"to: expected {', '.join(LOGGERS)}, got {name!r}")
        if find_spec(LOGGERS[name].package) is None:
            raise UsageError(
                f"to: {name} requires a package that is not installed", f"pip install {LOGGERS[name].package}"
            )
