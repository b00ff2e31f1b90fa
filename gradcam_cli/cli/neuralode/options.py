"""Options of `gradcam neuralode train` and `evaluate`, and what all `gradcam neuralode` commands share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

import click

from gradcam_cli.cli.click_extensions import Decorator, ImageSize, combine_options, option_group
from gradcam_cli.cli.options import quiet_tensorflow, setup_logging
from gradcam_cli.network.tensorflow_import import import_tensorflow
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.neuralode.training.config import DataConfig

_data, _network, _solver, _training, _output = map(option_group, ("Data", "Network", "Solver", "Training", "Output"))
option = option_group("Options")
_positive = click.FloatRange(0, min_open=True)
FILE, DIRECTORY = click.Path(dir_okay=False, path_type=Path), click.Path(file_okay=False, path_type=Path)
"""Types of options that name output files and directories."""


def seed_option(purpose: str, group: Callable[..., Decorator] = option) -> Decorator:
    """Return the option --seed."""
    return group(
        "--seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        metavar="N",
        help=f"Random seed of {purpose}.",
    )


def figure_option(default: str) -> Decorator:
    """Return the option --output of a command that draws one figure."""
    return option(
        "-o", "--output", type=FILE, default=default, show_default=True, help="File of the figure, PNG or JPEG."
    )


def _tolerance_option(name: str, default: float, text: str) -> Decorator:
    return _solver(name, type=_positive, default=default, show_default=True, metavar="X", help=text)


data_option = _data(
    "--data",
    required=True,
    metavar="NAME|FILE|DIR",
    help="digits (built in), mnist, fashion_mnist, cifar10, an .npz file (x_train, y_train, x_test, y_test), or a "
    "directory with one subdirectory per class.",
)
size_option = _data("--input-size", type=ImageSize(), help="Resize the images of a directory: 64, or HEIGHTxWIDTH.")
canvas_option = _data(
    "--canvas-scale",
    type=click.IntRange(2),
    metavar="N",
    help="Paste each image at a random position on a black canvas with N times its width and height.",
)
canvas_seed_option = seed_option("the positions on the canvas", _data)
network_options = combine_options(
    _network(
        "--arch",
        type=click.Choice(["odenet", "odenet-thin", "resnet", "stem-only"]),
        default="odenet",
        show_default=True,
        help="odenet-thin: fewer layers before the ODE; resnet: six residual blocks in place of the ODE; stem-only: "
        "neither.",
    ),
    _network(
        "--downsampling-layers",
        type=click.IntRange(0),
        metavar="N",
        help="Number of strided convolutions. [default: down to 6x6]",
    ),
    _network(
        "--activation",
        type=click.Choice(["softplus", "relu", "tanh", "silu"]),
        default="softplus",
        show_default=True,
        help="Activation in f; smooth activations need fewer solver steps.",
    ),
    _network(
        "--kinetic-energy",
        type=click.FloatRange(0),
        default=0,
        show_default=True,
        metavar="X",
        help="Weight of the regularization loss, the integral of f^2; larger weights lead to fewer solver steps.",
    ),
)
solver_options = combine_options(
    _solver(
        "--gradient",
        type=click.Choice(["adjoint", "discrete"]),
        default="adjoint",
        show_default=True,
        help="Gradient method; discrete: exact for the solver's steps, stores all of them.",
    ),
    _solver(
        "--solver",
        type=click.Choice(list(SOLVERS)),
        default="dopri5",
        show_default=True,
        help="Solver of the forward and backward solve.",
    ),
    _tolerance_option("--rtol", 1e-3, "Relative tolerance of the forward solve."),
    _tolerance_option("--atol", 1e-3, "Absolute tolerance of the forward solve."),
    _tolerance_option("--adjoint-rtol", 1e-2, "Relative tolerance of the backward solve."),
    _tolerance_option("--adjoint-atol", 1e-2, "Absolute tolerance of the backward solve, in units of dL/dz."),
    _solver("--step-size", type=_positive, metavar="X", help="Size of fixed steps. [default: adaptive steps]"),
    _solver("--first-step", type=_positive, metavar="X", help="Size of the first step. [default: Hairer's rule]"),
)
training_options = combine_options(
    _training("--epochs", type=click.IntRange(1), metavar="N", help="Number of epochs. [default: depends on the data]"),
    _training(
        "--batch-size", type=click.IntRange(1), metavar="N", help="Images per batch. [default: depends on the data]"
    ),
    _training(
        "--optimizer",
        type=click.Choice(["sgd", "adam", "adamw"]),
        default="sgd",
        show_default=True,
        help="Optimizer; sgd: with Nesterov momentum 0.9.",
    ),
    _training(
        "--learning-rate",
        type=_positive,
        metavar="X",
        help="Maximum learning rate. [default: 0.1 for sgd, 0.002 otherwise]",
    ),
    _training(
        "--schedule",
        type=click.Choice(["one-cycle", "cosine", "constant"]),
        default="one-cycle",
        show_default=True,
        help="Schedule of the learning rate.",
    ),
    _training(
        "--weight-decay",
        type=click.FloatRange(0),
        default=5e-4,
        show_default=True,
        metavar="X",
        help="Weight decay per step, relative to the learning rate.",
    ),
    seed_option("weights, batches and canvas", _training),
    _training(
        "--random-shift",
        type=click.IntRange(0),
        metavar="N",
        help="Shift images at random by up to N pixels. [default: depends on the data]",
    ),
    _training(
        "--random-flip/--no-random-flip",
        default=None,
        help="Mirror images at random. [default: depends on the data]",
    ),
    _training(
        "--validation-split",
        type=click.FloatRange(0, 0.9),
        default=0,
        show_default=True,
        metavar="X",
        help="Fraction of the training images used for validation.",
    ),
    _training(
        "--patience",
        type=click.IntRange(1),
        metavar="N",
        help="Stop after N epochs without a lower validation loss. Requires --validation-split.",
    ),
    _training(
        "--jit-compile/--no-jit-compile",
        default=False,
        show_default=True,
        help="Compile training steps with XLA (slower on CPUs).",
    ),
)
output_options = combine_options(
    _output(
        "-o",
        "--output",
        type=FILE,
        required=True,
        metavar="FILE.keras",
        help="File of the trained classifier.",
    ),
    _output(
        "--csv-log",
        type=FILE,
        metavar="FILE.csv",
        help="Write the metrics of each epoch to a CSV file.",
    ),
    _output(
        "--tensorboard",
        type=DIRECTORY,
        metavar="DIR",
        help="Write TensorBoard event files.",
    ),
    _output(
        "--export-samples",
        type=DIRECTORY,
        metavar="DIR",
        help="Write one test image of each class as PNG.",
    ),
    _output(
        "--resume",
        is_flag=True,
        help="Resume from the last checkpoint, if there is one; a complete training is extended to more --epochs.",
    ),
)


def data_config(options: Mapping[str, Any]) -> DataConfig:
    """Return the data set that the options select."""
    return DataConfig(options["data"], options["input_size"], options["canvas_scale"], options["seed"])


def setup(ctx: click.Context, options: Mapping[str, Any]) -> TextIO:
    """Set up logging and TensorFlow; return the stream of the results."""
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    import_tensorflow()
    return stdout
