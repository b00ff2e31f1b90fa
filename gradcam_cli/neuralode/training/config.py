"""Configurations of a training run: the data, the network and the training itself."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

DATASET_NAMES = ("digits", "mnist", "fashion_mnist", "cifar10")
"""Data sets with a name; every other name is that of a file or directory."""


@dataclass(frozen=True)
class DataConfig:
    """A data set and how it is loaded.

    Attributes:
        name: name of a data set, or path of an .npz file or a directory, as `datasets.load_data` takes it.
        input_size: (h, w) to which the images of a directory are resized, or None.
        canvas_scale: images are pasted at random positions of a canvas this many times their size; None: no canvas.
        seed: random seed of the positions.
    """

    name: str
    input_size: tuple[int, int] | None = None
    canvas_scale: int | None = None
    seed: int = 0


@dataclass(frozen=True)
class NetworkConfig:
    """The architecture of a classifier and the solver options of its ODEBlock.

    Attributes:
        arch: a name in `odenet.ARCHITECTURES`.
        downsampling_layers: number of strided convolutions; None: down to 6x6.
        activation: activation of f.
        kinetic_energy: weight of the kinetic energy regularization.
        gradient: `adjoint` or `discrete`.
        solver: a name in `tableaus.SOLVERS`.
        rtol: relative tolerance of the forward solve.
        atol: absolute tolerance of the forward solve.
        adjoint_rtol: relative tolerance of the backward solve.
        adjoint_atol: absolute tolerance of the backward solve.
        step_size: size of fixed steps; None: adaptive steps.
        first_step: size of the first step; None: Hairer's rule.
    """

    arch: str = "odenet"
    downsampling_layers: int | None = None
    activation: str = "softplus"
    kinetic_energy: float = 0.0
    gradient: str = "adjoint"
    solver: str = "dopri5"
    rtol: float = 1e-3
    atol: float = 1e-3
    adjoint_rtol: float = 1e-2
    adjoint_atol: float = 1e-2
    step_size: float | None = None
    first_step: float | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of `build_odenet`: all attributes that are not None."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True)
class TrainingConfig:
    """How a classifier is trained.

    Attributes:
        epochs: number of passes over the training images.
        batch_size: images per batch.
        optimizer: a name in `OPTIMIZERS`.
        learning_rate: maximum learning rate.
        schedule: one of `SCHEDULES`.
        weight_decay: weight decay per step, relative to the learning rate.
        seed: random seed of weights, order and augmentation.
        random_shift: maximum random shift of an image, in pixels.
        random_flip: whether images are mirrored at random.
        validation_split: fraction of the training images used for validation.
        patience: training stops after this many epochs without a lower validation loss; 0: never.
        jit_compile: whether XLA compiles a training step.
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
