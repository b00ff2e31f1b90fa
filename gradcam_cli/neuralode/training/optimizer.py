"""Optimizers and learning-rate schedules of training."""

from __future__ import annotations

from typing import Any

import keras

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.training.config import TrainingConfig

OPTIMIZERS = {"sgd": 0.1, "adam": 2e-3, "adamw": 2e-3}
"""The optimizers, each with its default learning rate."""
SCHEDULES = ("one-cycle", "cosine", "constant")
WARM_UP_FRACTION = 0.25
MOMENTUM = 0.9


def make_optimizer(config: TrainingConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Return the optimizer with its learning rate schedule.

    With `one-cycle` the learning rate increases for a quarter of all steps, and then decreases along half a cosine.

    Args:
        config: configuration of the training.
        steps_per_epoch: number of steps in an epoch.

    Raises:
        UsageError: the optimizer or the schedule is unknown.

    Source:
        Smith and Topin 2018, Super-Convergence, arXiv:1708.07120.
    """
    total = max(config.epochs * steps_per_epoch, 1)
    rate: Any = config.learning_rate
    decay = keras.optimizers.schedules.CosineDecay
    if config.schedule == "one-cycle":
        rise = max(round(WARM_UP_FRACTION * total), 1)
        rate = decay(rate / 25, max(total - rise, 1), warmup_target=rate, warmup_steps=rise)
    elif config.schedule == "cosine":
        rate = decay(rate, total)
    elif config.schedule != "constant":
        raise UsageError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {config.schedule}")
    optimizers = keras.optimizers
    if config.optimizer == "sgd":
        return optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True, weight_decay=config.weight_decay or None)
    if config.optimizer == "adam":
        return optimizers.Adam(rate)
    if config.optimizer == "adamw":
        return optimizers.AdamW(rate, weight_decay=config.weight_decay)
    raise UsageError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {config.optimizer}")
