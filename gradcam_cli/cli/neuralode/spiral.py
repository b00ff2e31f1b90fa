"""`gradcam neuralode spiral`: fit a small network to a spiral."""

from __future__ import annotations

import math
import time
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.neuralode.options import FILE, figure_option, option, seed_option, setup
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import progress
from gradcam_cli.errors import UsageError
from gradcam_cli.output.destination import FIGURE_SUFFIXES, format_for_suffix, require_suffix


@click.command(cls=GroupedCommand, short_help="Fit a small network to a spiral.")
@option(
    "--iterations",
    type=click.IntRange(1),
    default=2000,
    show_default=True,
    metavar="N",
    help="Number of training iterations.",
)
@option(
    "--gradient",
    type=click.Choice(["adjoint", "discrete"]),
    default="adjoint",
    show_default=True,
    help="Gradient method.",
)
@seed_option("weights and batches")
@option(
    "--jit-compile/--no-jit-compile",
    default=True,
    show_default=True,
    help="Compile the iterations with XLA.",
)
@figure_option("spiral.png")
@option(
    "--save-model",
    metavar="FILE.keras",
    type=FILE,
    help="Save the trained network.",
)
@option(
    "--animation",
    metavar="FILE.gif",
    type=FILE,
    help="Write an animation of the training.",
)
@general_options
@click.pass_context
def spiral(ctx: click.Context, /, **options: Any) -> None:
    """Fit a small network to the spiral dz/dt = z^3 A.

    A network with layers of 2, 50 and 2 units becomes the right-hand side of an ODE. It is trained on segments of a
    single trajectory. The figure shows the trajectory, the phase portrait and the fitted vector field.
    """
    require_suffix("-o", options["output"], FIGURE_SUFFIXES)
    require_suffix("--animation", options["animation"], (".gif",))
    if options["save_model"] and options["save_model"].suffix != ".keras":
        raise UsageError(f"--save-model {options['save_model']}: expected a name ending in .keras")
    stdout = setup(ctx, options)
    from gradcam_cli.neuralode.training.files import check_outputs, write_model

    check_outputs({"-o": options["output"], "--animation": options["animation"], "--save-model": options["save_model"]})
    import keras

    from gradcam_cli.neuralode.demos import spiral as library
    from gradcam_cli.neuralode.demos.plots import fit_figure
    from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork
    from gradcam_cli.output.animations import encode_animation
    from gradcam_cli.output.figure_files import encode_figure, figure_pixels
    from gradcam_cli.storage.files import write_output

    keras.utils.set_random_seed(options["seed"])
    f, data = SpiralNetwork(), library.true_trajectory()
    batches = library.sample_segment_starts(options["iterations"], options["seed"])
    last, frames, start = library.TrainingProgress(0, math.nan), [], time.perf_counter()
    with progress("training", options["iterations"]) as advance:
        for current in library.train(f, data, batches, options["gradient"], jit_compile=options["jit_compile"]):
            advance(current.iteration - last.iteration)
            last = current
            if options["animation"]:
                frames.append(figure_pixels(fit_figure(f, data, f"iteration {last.iteration}")))
            raise_if_interrupted()
    seconds = time.perf_counter() - start
    error, _ = library.fit_error(f, data)
    figure = fit_figure(f, data, f"after {last.iteration} iterations")
    write_output(options["output"], encode_figure(figure, format_for_suffix(options["output"])))
    if frames:
        write_output(options["animation"], encode_animation(frames, seconds=0.12))
    if options["save_model"]:
        write_model(library.as_model(f), options["save_model"])
    row = {
        "iterations": last.iteration,
        "loss": f"{last.loss:.4f}",
        "mean_difference": f"{error:.4f}",
        "seconds": f"{seconds:.1f}",
        "figure": str(options["output"]),
    }
    write_table([row], stdout, as_json=options["as_json"])
