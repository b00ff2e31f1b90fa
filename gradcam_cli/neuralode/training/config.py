"""The configuration of a training run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingConfig:
    """How a classifier learns.

    Attributes:
        epochs: passes over the images.
        batch_size: images in a step.
        optimizer: a name in `OPTIMIZERS`.
        learning_rate: the largest.
        schedule: one of `SCHEDULES`.
        weight_decay: share of a weight that is taken away in a step, per unit of learning rate.
        seed: of weights, order and variation.
        random_shift: pixels by which images are moved at random.
        random_flip: whether they are mirrored at random.
        validation_split: share of the training images that is held out.
        patience: epochs without a better validation loss after which the training ends; 0: none do.
        jit_compile: whether XLA compiles a step.
    """

    epochs: int = 10
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    schedule: str = "one-cycle"
    weight_decay: float = 5e-4
    seed: int = 0
    random_shift: int = 0
    random_flip: bool = False
    validation_split: float = 0.0
    patience: int = 0
    jit_compile: bool = False
