"""`gradcam neuralode spiral`: fit a spiral."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.signals import raise_if_interrupted
from gradcam_cli.cli.tables import write_table
from gradcam_cli.console import progress
from gradcam_cli.errors import UsageError
from gradcam_cli.output.destination import format_for_suffix

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradcam_cli.neuralode.demos.spiral import Trajectory
    from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork

from gradcam_cli.cli.neuralode.options import begin, option, require_picture


@click.command(cls=GroupedCommand)
@option("--iterations", type=click.IntRange(1), default=2000, show_default=True, metavar="N", help="Of the learning.")
@option("--gradient", type=click.Choice(["adjoint", "discrete"]), default="adjoint", show_default=True, help="How.")
@option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of weights and batches.")
@option("--no-xla", is_flag=True, help="Do not compile the iterations by XLA.")
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="spiral.png",
    show_default=True,
    help="The picture, PNG or JPEG.",
)
@option("--save", metavar="FILE.keras", type=click.Path(dir_okay=False, path_type=Path), help="Keep what was learned.")
@option("--frames", metavar="FILE.gif", type=click.Path(dir_okay=False, path_type=Path), help="Animate the learning.")
@general_options
@click.pass_context
def spiral(ctx: click.Context, /, **options: Any) -> None:
    """Learn a spiral, dz/dt = z^3 A, from pieces of one trajectory.

    The classic demonstration: a network of 2, 50 and 2 values becomes the right-hand side of an equation. The picture
    shows the trajectory, the phase portrait and the learned vector field.
    """
    require_picture(options["output"])
    if options["frames"] and options["frames"].suffix.lower() != ".gif":
        raise UsageError(f"--frames {options['frames']}: expected a name ending in .gif")
    if options["save"] and options["save"].suffix != ".keras":
        raise UsageError(f"--save {options['save']}: expected a name ending in .keras")
    stdout = begin(ctx, options)
    import keras

    from gradcam_cli.models.loading import model_to_bytes
    from gradcam_cli.neuralode.demos import spiral as learning
    from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork
    from gradcam_cli.output.figures import encode_animation, encode_figure, figure_pixels
    from gradcam_cli.storage.files import write_output

    keras.utils.set_random_seed(options["seed"])
    f, data = SpiralNetwork(), learning.true_trajectory()
    batches = learning.sample_segment_starts(options["iterations"], options["seed"])
    done, frames, began = learning.TrainingProgress(0, math.nan), [], time.perf_counter()
    steps = learning.train(f, data, batches, options["gradient"], jit_compile=not options["no_xla"])
    with progress("learning", options["iterations"]) as advance:
        for after in steps:
            advance(after.iteration - done.iteration)
            done = after
            if options["frames"]:
                frames.append(figure_pixels(_spiral_figure(f, data, f"iteration {done.iteration}")))
            raise_if_interrupted()
    seconds = time.perf_counter() - began
    error, _ = learning.fit_error(f, data)
    write_output(
        options["output"],
        encode_figure(
            _spiral_figure(f, data, f"after {done.iteration} iterations"), format_for_suffix(options["output"])
        ),
    )
    if frames:
        write_output(options["frames"], encode_animation(frames, seconds=0.12))
    if options["save"]:
        write_output(options["save"], model_to_bytes(learning.as_model(f)))
    row = {
        "iterations": done.iteration,
        "loss": f"{done.loss:.4f}",
        "mean difference": f"{error:.4f}",
        "seconds": f"{seconds:.1f}",
        "picture": str(options["output"]),
    }
    write_table([row], stdout, as_json=options["as_json"])


def _spiral_figure(f: SpiralNetwork, data: Trajectory, title: str) -> Figure:
    from gradcam_cli.neuralode.demos.plots import draw_spiral
    from gradcam_cli.neuralode.demos.spiral import fit_error, vector_field

    error, fitted = fit_error(f, data)
    grid, slopes = vector_field(f.call)
    return draw_spiral(data.t, data.z, fitted, grid, slopes, f"{title}: mean difference {error:.3f}")
