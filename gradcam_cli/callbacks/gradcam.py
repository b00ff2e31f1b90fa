"""The callback `GradCAM`: maps of fixed images after each epoch of a training, and their drift."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gradcam_cli.callbacks.epoch_maps import EpochMaps, explained_maps
from gradcam_cli.callbacks.explainer import AS_PASSED, Explainer
from gradcam_cli.callbacks.jump import ON_JUMP, find_jumps, parse_limits
from gradcam_cli.callbacks.loggers import LOGGERS, Logger, Pictures, require_loggers
from gradcam_cli.callbacks.record import drop_epochs, is_training, read_epochs, read_run, write_epoch, write_run
from gradcam_cli.console import log
from gradcam_cli.errors import InputError, ModelError, UsageError
from gradcam_cli.images.encode import encode
from gradcam_cli.keywords import names_misspelt_keywords
from gradcam_cli.output.scaling import panel_size, scale_image
from gradcam_cli.pipeline.api_options import OPTIONS, several
from gradcam_cli.pipeline.config import check_choice
from gradcam_cli.pipeline.prediction import json_number
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.storage.paths import is_url

NOT_FOR_TRAINING = ("weights", "allow_unsafe", "packages", "offline", "preprocess", "aug_smooth", "precision")
CALLBACK_OPTIONS = tuple(name for name in OPTIONS if name not in NOT_FOR_TRAINING)
"""The keywords of `explain` that the callback accepts."""
PICTURE_SIDE = 224
"""Height and width of the pictures in loggers, in pixels."""


class GradCAM(keras.callbacks.Callback):  # type: ignore[misc]
    """Explains the same images after each epoch, and measures how far their maps have drifted.

    The maps are recorded in a directory that `gradcam report DIR` turns into a page with a slider over the epochs, and
    logged to TensorBoard, W&B or MLflow. The model is traced once; an epoch costs one forward and backward pass of the
    images. Nothing is left in the model, and the training is the same as without the callback.

    Args:
        images: a few images: an array (n, h, w, c) or a list of arrays, exactly as they are passed to `model.fit`; or,
            with `preprocess`, images as for `explain_many`.
        log_dir: directory of the record, and of the events of TensorBoard. A training that begins at epoch 0 begins a
            new record; one that resumes continues it.
        every: number of epochs between two maps; the first epoch always has maps.
        layer: its path in the model, or `auto`.
        classes: the class to explain: an index, a name, or `top` for the predicted class of each epoch; one for all
            images, or a list or array with one for each, such as their true classes.
        to: `tensorboard`, `wandb` or `mlflow`, or several of them. The last two log to their active run.
        method: a name in `LAYER_METHODS`.
        preprocess: `none`: the values of arrays are the model input as they are. Others as for `load_model`, for
            images that are fitted to the model and preprocessed.
        max_drift: limits of the drift since the last epoch, as for `gradcam compare --max-drift`: `rank=0.5`,
            `ssim=0.3@q95`; one or several.
        on_jump: what follows if a limit is exceeded: `warn`, or `stop` to end the training after the epoch.
        **options: other keywords of `explain`: `score`, `fit`, `target`, `labels`, `max_value` and `rgb` for the
            pictures of arrays, and so on.

    Raises:
        UsageError: an option value is wrong, or a logger is not installed. When the training begins: the model takes no
            images, the layer or a class does not exist, or `log_dir` has the record of other images.
        InputError, ModelError: when the training begins: an image does not fit the model, or the model cannot be
            explained.
        OutputError: when the training begins: `log_dir` cannot be written. Later errors of the record or of a logger
            are warnings, and the training continues.
        TypeError: a keyword does not exist.

    Source:
        The measures of drift are those of `gradcam compare`.
    """

    @names_misspelt_keywords(*CALLBACK_OPTIONS)
    def __init__(
        self,
        images: Iterable[Any],
        *,
        log_dir: str | os.PathLike[str] = "gradcam_training",
        every: int = 1,
        layer: str = "auto",
        classes: Any = "top",
        to: str | Sequence[str] = (),
        method: str = "gradcam",
        preprocess: str | None = AS_PASSED,
        max_drift: str | Sequence[str] = (),
        on_jump: str = "warn",
        **options: Any,
    ) -> None:
        super().__init__()
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise UsageError(f"every: expected a positive integer, got {every!r}")
        if is_url(log_dir):
            raise UsageError(f"log_dir: expected a local directory, got {log_dir}")
        check_choice("on_jump", on_jump, ON_JUMP)
        self._images = list(images) if isinstance(images, Iterator) else images  # a second training reads them, too
        self._directory, self._every = Path(log_dir), every
        self._explained = (layer, classes, method, {**options, "preprocess": preprocess})
        self._to, self._limits, self._on_jump = several(to), parse_limits(max_drift), on_jump
        require_loggers(self._to)
        self._forget()

    def _forget(self) -> None:
        self._explainer: Explainer | None = None
        self._loggers: dict[str, Logger] = {}
        self._first: EpochMaps | None = None
        self._last: EpochMaps | None = None
        self._logs: dict[int, dict[str, float | None]] = {}
        self._warned: set[str] = set()
        self._begun = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Trace the model, and check all that can be wrong before an epoch is trained."""
        self._forget()
        if not self.model.built:  # a trace would build it, and so be a part of the training
            hint = "begin the model with keras.Input, or call it on a batch before model.fit"
            raise ModelError("expected a model that is built, got one without weights", hint)
        layer, classes, method, options = self._explained
        self._explainer = Explainer(self.model, self._images, layer, classes, method, options)
        self._loggers = {name: LOGGERS[name].open(self._directory) for name in self._to}

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin the record, or continue that of an earlier training; the epoch to resume from is known only now."""
        if self._begun or self._explainer is None:
            return
        self._begun = True
        run = self._explainer.description
        if epoch and is_training(self._directory):
            self._continue(epoch)
        if dropped := drop_epochs(self._directory, epoch):
            log.warning("%s: the maps of %d epochs of an earlier training are replaced", self._directory, dropped)
        write_run(self._directory, run, [encode(image.pixels) for image in self._explainer.images])

    def _continue(self, epoch: int) -> None:
        """Read the first and the last maps of the record that a training resumes."""
        run = read_run(self._directory)
        if self._explainer is not None and not self._explainer.description.continues(run):
            raise UsageError(
                f"log_dir: {self._directory} has the record of other images, another layer or another method",
                "choose another directory, or resume with the same options; Keras numbers layers that have no name",
            )
        for maps in read_epochs(self._directory, run, before=epoch):
            if isinstance(maps, InputError):
                log.warning("%s", maps.message)
                continue
            self._first, self._last = self._first or maps, maps

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Explain the images, and record and log their maps; an error is logged once, and the training continues."""
        self._logs[epoch] = _numbers(logs or {})
        if epoch % self._every == 0:
            self._attempt("maps", lambda: self._explain(epoch))

    def _explain(self, epoch: int) -> None:
        if self._explainer is None:
            return
        results = self._explainer.explain()
        maps = EpochMaps(epoch, explained_maps(results), self._logs)
        for since, before in (("last", self._last), ("first", self._first)):
            if before is not None:
                maps.drift[since] = maps.drift_since(before)
        if maps.errors:
            counts = f"{len(maps.errors)} of {len(results)} images have no map"
            log.warning("epoch %d: %s: %s", epoch + 1, counts, maps.errors[0])
        self._attempt("record", lambda: self._record(maps))
        explained = [each for each in results if isinstance(each, Explanation) and self._loggers]
        pictures = {each.source: _picture(each) for each in explained}
        for name, logger in self._loggers.items():
            self._attempt(name, _logging(logger, maps, pictures))
        self._react(maps)
        self._first, self._last = self._first or maps, maps

    def _record(self, maps: EpochMaps) -> None:
        write_epoch(self._directory, maps)
        self._logs = {}

    def _react(self, maps: EpochMaps) -> None:
        """Warn or stop if the maps jumped since the last epoch."""
        if self._last is None:
            return
        jumps = find_jumps(self._limits, self._last, maps)
        for jump in jumps:
            log.warning("epoch %d: the maps jumped: %s", maps.epoch + 1, jump)
        if jumps and self._on_jump == "stop":
            log.warning("the training stops after epoch %d", maps.epoch + 1)
            self.model.stop_training = True

    def _attempt(self, name: str, action: Callable[[], None]) -> None:
        """Run an action; a training of hours does not end for an error of it, whatever the logger raises."""
        try:
            action()
        except Exception as error:
            if name not in self._warned:
                self._warned.add(name)
                log.warning("GradCAM: %s: %s: %s; the training continues", name, type(error).__name__, error)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the loggers, and free the traced functions."""
        for name, logger in self._loggers.items():
            self._attempt(name, logger.close)
        self._forget()


def _numbers(logs: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the numbers that Keras logged; a metric may also be an array, which is left out."""
    return {name: json_number(float(value)) for name, value in logs.items() if np.ndim(value) == 0}


def _logging(logger: Logger, maps: EpochMaps, pictures: Pictures) -> Callable[[], None]:
    return lambda: logger.log(maps, pictures)


def _picture(explanation: Explanation) -> np.ndarray:
    """Return the image and, next to it, the image with its map; small ones are enlarged."""
    size = panel_size(explanation.image.shape, PICTURE_SIDE)
    return np.concatenate([scale_image(each, size) for each in (explanation.image, explanation.overlay())], axis=1)
