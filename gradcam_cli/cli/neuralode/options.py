"""Options of the commands that train and measure classifiers with an equation in their middle."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import ImageSize, combine_options, option_group
from gradcam_cli.cli.options import quiet_tensorflow, setup_logging
from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.output.destination import IMAGE_SUFFIXES

if TYPE_CHECKING:
    pass

_data, _network, _solver, _training, _output = map(option_group, ("Data", "Network", "Solver", "Learning", "Output"))
_positive = click.FloatRange(0, min_open=True)

data_option = _data(
    "--data",
    required=True,
    metavar="NAME|FILE|DIR",
    help="digits (built in), mnist, fashion_mnist, cifar10, an .npz file (x_train, y_train, x_test, y_test), or a "
    "directory with a folder a class.",
)
size_option = _data("--input-size", type=ImageSize(), help="To which the images of a directory are scaled.")
canvas_option = _data(
    "--canvas", type=click.IntRange(2), metavar="N", help="Place images at random on black, N times as wide."
)
seed_option = _training(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of all that is random."
)
network_options = combine_options(
    _network(
        "--arch",
        type=click.Choice(["odenet", "odenet-thin", "resnet", "stem-only"]),
        default="odenet",
        show_default=True,
        help="odenet-thin leaves the ODE more to do; resnet (six blocks) and stem (none) are the baselines.",
    ),
    _network("--stem", type=click.IntRange(0), metavar="N", help="Strided convolutions. [default: down to 6x6]"),
    _network(
        "--activation",
        type=click.Choice(["softplus", "relu", "tanh", "silu"]),
        default="softplus",
        show_default=True,
        help="Of f: a smooth one takes fewer steps.",
    ),
    _network(
        "--kinetic",
        type=click.FloatRange(0),
        default=0,
        metavar="X",
        help="Weight of a loss, the integral of f^2: larger means straighter paths and fewer steps.",
    ),
)
solver_options = combine_options(
    _solver(
        "--gradient",
        type=click.Choice(["adjoint", "discrete"]),
        default="adjoint",
        show_default=True,
        help="discrete is exact for the steps taken and keeps them all in memory.",
    ),
    _solver("--solver", type=click.Choice(list(SOLVERS)), default="dopri5", show_default=True, help="Of both solves."),
    _solver("--rtol", type=_positive, default=1e-3, show_default=True, metavar="X", help="Relative tolerance."),
    _solver("--atol", type=_positive, default=1e-3, show_default=True, metavar="X", help="Absolute tolerance."),
    _solver(
        "--adjoint-rtol", type=_positive, default=1e-2, show_default=True, metavar="X", help="Of the backward solve."
    ),
    _solver(
        "--adjoint-atol",
        type=_positive,
        default=1e-2,
        show_default=True,
        metavar="X",
        help="Likewise, in units of dL/dz.",
    ),
    _solver("--step-size", type=_positive, metavar="X", help="Fixed steps of this size."),
    _solver("--first-step", type=_positive, metavar="X", help="Size of the first step. [default: Hairer's rule]"),
)
training_options = combine_options(
    _training("--epochs", type=click.IntRange(1), metavar="N", help="Passes. [default: by the data]"),
    _training("--batch-size", type=click.IntRange(1), metavar="N", help="Images in a step. [default: by the data]"),
    _training(
        "--optimizer",
        type=click.Choice(["sgd", "adam", "adamw"]),
        default="sgd",
        show_default=True,
        help="sgd has momentum 0.9.",
    ),
    _training("--learning-rate", type=_positive, metavar="X", help="The largest. [default: sgd 0.1, others 0.002]"),
    _training(
        "--schedule",
        type=click.Choice(["one-cycle", "cosine", "constant"]),
        default="one-cycle",
        show_default=True,
        help="Of the learning rate.",
    ),
    _training(
        "--weight-decay",
        type=click.FloatRange(0),
        default=5e-4,
        show_default=True,
        metavar="X",
        help="Share of a weight lost a step, per unit of the rate.",
    ),
    seed_option,
    _training(
        "--crop", type=click.IntRange(0), metavar="N", help="Move images by up to N pixels. [default: by the data]"
    ),
    _training("--flip/--no-flip", default=None, help="Mirror images at random. [default: by the data]"),
    _training(
        "--validation",
        type=click.FloatRange(0, 0.9),
        default=0,
        show_default=True,
        metavar="X",
        help="Share of the training images held out; the test images are never used to choose.",
    ),
    _training("--early-stop", type=click.IntRange(1), metavar="N", help="End after N epochs without improvement."),
    _training(
        "--xla",
        "jit_compile",
        is_flag=True,
        help="Compile by XLA: on a CPU slower, for its gradients of convolutions are.",
    ),
)
output_options = combine_options(
    _output(
        "-o",
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        required=True,
        metavar="FILE.keras",
        help="The trained classifier.",
    ),
    _output(
        "--log",
        "log_file",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE.csv",
        help="A line an epoch.",
    ),
    _output(
        "--tensorboard", type=click.Path(file_okay=False, path_type=Path), metavar="DIR", help="Curves for TensorBoard."
    ),
    _output(
        "--samples",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="Write a test image of each class as PNG: something to explain.",
    ),
    _output("--resume", is_flag=True, help="Go on from the last checkpoint, if there is one."),
)


option = option_group("Options")


def begin(ctx: click.Context, options: dict[str, Any]) -> Any:
    """Set up messages and TensorFlow, and return where results go."""
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    quiet_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    return stdout


def require_picture(value: Path) -> Path:
    """Return the path of a figure, if its suffix is one of an image format."""
    if value.suffix.lower() not in IMAGE_SUFFIXES:
        raise UsageError(f"-o {value}: expected a name ending in {', '.join(IMAGE_SUFFIXES)}")
    return value
