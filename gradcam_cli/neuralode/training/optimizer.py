"""Optimizers and learning-rate schedules of training."""

from __future__ import annotations

from typing import Any

import keras

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.training.config import Recipe

OPTIMIZERS = {"sgd": 0.1, "adam": 2e-3, "adamw": 2e-3}
"""The optimizers, each with its learning rate where none is asked for."""
SCHEDULES = ("one-cycle", "cosine", "constant")
WARM_UP = 0.25
MOMENTUM = 0.9


def make_optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    """Return the optimizer with its learning rate, which for one-cycle rises for a quarter of all steps and then falls.

    Args:
        recipe: how to learn.
        steps: in an epoch.

    Source:
        Smith and Topin 2018, Super-Convergence, arXiv:1708.07120; the fall is a half cosine.
    """
    total = max(recipe.epochs * steps, 1)
    rate: Any = recipe.learning_rate
    decay = keras.optimizers.schedules.CosineDecay
    if recipe.schedule == "one-cycle":
        rise = max(round(WARM_UP * total), 1)
        rate = decay(rate / 25, max(total - rise, 1), warmup_target=rate, warmup_steps=rise)
    elif recipe.schedule == "cosine":
        rate = decay(rate, total)
    elif recipe.schedule != "constant":
        raise UsageError(f"schedule: expected one of {', '.join(SCHEDULES)}, got {recipe.schedule}")
    optimizers = keras.optimizers
    if recipe.optimizer == "sgd":
        return optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True, weight_decay=recipe.weight_decay or None)
    if recipe.optimizer == "adam":
        return optimizers.Adam(rate)
    if recipe.optimizer == "adamw":
        return optimizers.AdamW(rate, weight_decay=recipe.weight_decay)
    raise UsageError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {recipe.optimizer}")
