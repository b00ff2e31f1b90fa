"""`gradcam neuralode ...`: networks whose middle is an ordinary differential equation."""

from __future__ import annotations

import io
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.commands.grouping import GroupedCommand, under
from gradcam_cli.commands.options import message_options, start, start_tensorflow
from gradcam_cli.commands.tables import write_table
from gradcam_cli.errors import UsageError
from gradcam_cli.interrupts import check_interrupts
from gradcam_cli.messages import progress
from gradcam_cli.neuralode.tableaus import SOLVERS
from gradcam_cli.outputs import PICTURES, format_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from gradcam_cli.neuralode.spiral import SpiralNetwork, Trajectory

HELP = {"help_option_names": ["-h", "--help"]}
_option = under("Options")
EXAMPLES = ("linear", "logistic", "spiral", "network")


@click.group(context_settings=HELP)
def neuralode() -> None:
    """Neural ordinary differential equations, with gradients by the adjoint method (Chen et al. 2018)."""


def _begin(ctx: click.Context, options: dict[str, Any]) -> Any:
    """Set up messages and TensorFlow, and return where results go."""
    start(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    start_tensorflow(ctx, verbose=options["verbose"] or options["debug"])
    return stdout


def _picture(value: Path) -> Path:
    if value.suffix.lower() not in PICTURES:
        raise UsageError(f"-o {value}: expected a name ending in {', '.join(PICTURES)}")
    return value


@neuralode.command(cls=GroupedCommand, context_settings=HELP)
@click.argument("f", metavar="F", type=click.Choice(EXAMPLES), default="network")
@_option("--solver", type=click.Choice(list(SOLVERS)), default="dopri5", show_default=True, help="Of both solves.")
@_option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of the directions.")
@message_options
@click.pass_context
def check(ctx: click.Context, /, f: str, **options: Any) -> None:
    """Check the gradients of an equation against finite differences.

    F is linear, logistic, spiral or network (the default: a small convolutional one that depends on time). Each line
    has a way to the gradient, its tolerance, the relative errors of the derivatives by the state, the parameters and
    the times, and how often f was evaluated.
    """
    stdout = _begin(ctx, options)
    from gradcam_cli.neuralode import check as checking

    rows = checking.check_gradients(*checking.EXAMPLES[f](), solver=options["solver"], seed=options["seed"])
    table = [row._asdict() for row in rows]
    if not options["as_json"]:
        errors = ("rtol", "z0", "theta", "times")
        table = [{name: f"{v:.1e}" if name in errors else v for name, v in row.items()} for row in table]
    write_table(table, stdout, as_json=options["as_json"])


@neuralode.command(cls=GroupedCommand, context_settings=HELP)
@_option("--iterations", type=click.IntRange(1), default=2000, show_default=True, metavar="N", help="Of the learning.")
@_option("--gradient", type=click.Choice(["adjoint", "discrete"]), default="adjoint", show_default=True, help="How.")
@_option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of weights and batches.")
@_option("--no-xla", is_flag=True, help="Do not compile the iterations by XLA.")
@_option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="spiral.png",
    show_default=True,
    help="The picture, PNG or JPEG.",
)
@_option("--frames", metavar="FILE.gif", type=click.Path(dir_okay=False, path_type=Path), help="Animate the learning.")
@message_options
@click.pass_context
def spiral(ctx: click.Context, /, **options: Any) -> None:
    """Learn a spiral, dz/dt = z^3 A, from pieces of one trajectory.

    The classic demonstration: a network of 2, 50 and 2 values becomes the right-hand side of an equation. The picture
    shows the trajectory, the phase portrait and the learned vector field.
    """
    _picture(options["output"])
    if options["frames"] and options["frames"].suffix.lower() != ".gif":
        raise UsageError(f"--frames {options['frames']}: expected a name ending in .gif")
    stdout = _begin(ctx, options)
    import keras

    from gradcam_cli.neuralode import spiral as learning
    from gradcam_cli.render import encode_figure
    from gradcam_cli.results import write

    keras.utils.set_random_seed(options["seed"])
    f, data = learning.SpiralNetwork(), learning.true_trajectory()
    batches = learning.draw_batches(options["iterations"], options["seed"])
    done, frames, began = learning.Progress(0, math.nan), [], time.perf_counter()
    steps = learning.learn(f, data, batches, options["gradient"], jit_compile=not options["no_xla"])
    with progress("learning", options["iterations"]) as advance:
        for after in steps:
            advance(after.iteration - done.iteration)
            done = after
            if options["frames"]:
                frames.append(encode_figure(_draw(f, data, f"iteration {done.iteration}")))
            check_interrupts()
    seconds = time.perf_counter() - began
    error, _ = learning.fit_error(f, data)
    write(
        options["output"],
        encode_figure(_draw(f, data, f"after {done.iteration} iterations"), format_of(options["output"])),
    )
    if frames:
        write(options["frames"], _animation(frames))
    row = {
        "iterations": done.iteration,
        "loss": f"{done.loss:.4f}",
        "mean difference": f"{error:.4f}",
        "seconds": f"{seconds:.1f}",
        "picture": str(options["output"]),
    }
    write_table([row], stdout, as_json=options["as_json"])


def _draw(f: SpiralNetwork, data: Trajectory, title: str) -> Figure:
    from gradcam_cli.neuralode.portrait import draw_spiral
    from gradcam_cli.neuralode.spiral import field_of, fit_error

    error, fitted = fit_error(f, data)
    grid, slopes = field_of(f.call)
    return draw_spiral(data.t, data.z, fitted, grid, slopes, f"{title}: mean difference {error:.3f}")


def _animation(frames: list[bytes]) -> bytes:
    from PIL import Image

    first, *rest = (Image.open(io.BytesIO(frame)).convert("P", palette=Image.Palette.ADAPTIVE) for frame in frames)
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=120, loop=0)
    return buffer.getvalue()


@neuralode.command(cls=GroupedCommand, context_settings=HELP)
@_option("--depth", type=click.IntRange(1, 50), default=5, show_default=True, metavar="N", help="Layers, and last t.")
@_option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="flow.png",
    show_default=True,
    help="The picture, PNG or JPEG.",
)
@message_options
@click.pass_context
def flow(ctx: click.Context, /, **options: Any) -> None:
    """Draw a residual network's steps beside an equation's flow: Figure 1 of the paper.

    Left Euler's steps of size 1, which are what a residual network does; right the solution of the same equation. Dots
    are the points where each evaluates f, arrows the field.
    """
    _picture(options["output"])
    stdout = _begin(ctx, options)
    import numpy as np
    import tensorflow as tf

    from gradcam_cli.neuralode.flow import draw_flow, ode_path, residual_path, toy
    from gradcam_cli.render import encode_figure
    from gradcam_cli.results import write

    w, starts = np.ones(1), [tf.constant([x], tf.float64) for x in np.linspace(-3, 3, 5)]
    residual = [residual_path(toy, z0, options["depth"], w) for z0 in starts]
    ode = [ode_path(toy, z0, float(options["depth"]), w) for z0 in starts]
    write(options["output"], encode_figure(draw_flow(residual, ode, toy), format_of(options["output"])))
    counts = [sum(len(path.at) for path in paths) for paths in (residual, ode)]
    row = {"residual evaluations": counts[0], "ODE evaluations": counts[1], "picture": str(options["output"])}
    write_table([row], stdout, as_json=options["as_json"])
