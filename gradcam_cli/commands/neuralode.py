"""`gradcam neuralode ...`: networks whose middle is an ordinary differential equation."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.commands.grouping import HELP, GroupedCommand, PreprocessType, under
from gradcam_cli.commands.options import allow_unsafe_option, message_options, start, start_tensorflow
from gradcam_cli.commands.tables import write_table
from gradcam_cli.errors import UsageError
from gradcam_cli.interrupts import check_interrupts
from gradcam_cli.messages import progress
from gradcam_cli.neuralode.tableaus import SOLVERS
from gradcam_cli.outputs import PICTURES, format_of

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf
    from matplotlib.figure import Figure

    from gradcam_cli.neuralode.fields import SpiralNetwork
    from gradcam_cli.neuralode.layer import ODEBlock
    from gradcam_cli.neuralode.spiral import Trajectory

_option = under("Options")
EXAMPLES = ("linear", "logistic", "spiral", "network")


@click.group(context_settings=HELP, short_help="Train, check and explain Neural ODEs.")
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


@neuralode.command(cls=GroupedCommand)
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


@neuralode.command(cls=GroupedCommand)
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
@_option("--save", metavar="FILE.keras", type=click.Path(dir_okay=False, path_type=Path), help="Keep what was learned.")
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
    if options["save"] and options["save"].suffix != ".keras":
        raise UsageError(f"--save {options['save']}: expected a name ending in .keras")
    stdout = _begin(ctx, options)
    import keras

    from gradcam_cli.neuralode import spiral as learning
    from gradcam_cli.neuralode.fields import SpiralNetwork
    from gradcam_cli.render import encode_animation, encode_figure, figure_pixels
    from gradcam_cli.results import write
    from gradcam_cli.storage import encode_model

    keras.utils.set_random_seed(options["seed"])
    f, data = SpiralNetwork(), learning.true_trajectory()
    batches = learning.draw_batches(options["iterations"], options["seed"])
    done, frames, began = learning.Progress(0, math.nan), [], time.perf_counter()
    steps = learning.learn(f, data, batches, options["gradient"], jit_compile=not options["no_xla"])
    with progress("learning", options["iterations"]) as advance:
        for after in steps:
            advance(after.iteration - done.iteration)
            done = after
            if options["frames"]:
                frames.append(figure_pixels(_draw(f, data, f"iteration {done.iteration}")))
            check_interrupts()
    seconds = time.perf_counter() - began
    error, _ = learning.fit_error(f, data)
    write(
        options["output"],
        encode_figure(_draw(f, data, f"after {done.iteration} iterations"), format_of(options["output"])),
    )
    if frames:
        write(options["frames"], encode_animation(frames, seconds=0.12))
    if options["save"]:
        write(options["save"], encode_model(learning.as_model(f)))
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


@neuralode.command(cls=GroupedCommand, short_help="Draw an equation's flow beside a residual network.")
@_option("--model", metavar="FILE.keras", type=click.Path(path_type=Path), help="Draw its ODEBlock; else a toy field.")
@_option("--block", metavar="NAME", help="The ODEBlock, where the model has several.")
@_option("--input", "inputs", metavar="IMAGE", multiple=True, help="Begin at what the block gets of it; repeatable.")
@_option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of random states without.")
@_option("--preprocess", metavar="NAME", type=PreprocessType(), help="Of the images, where the model does not say.")
@allow_unsafe_option
@_option("--depth", type=click.IntRange(1, 50), default=5, show_default=True, metavar="N", help="Layers.")
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

    Left a residual network of so many layers, which is Euler's method: steps of size 1 for the toy field, and of a
    model's ODEBlock equal shares of its time. Right the solution of the same equation, as its solver finds it. Dots
    are the points where each evaluates f, arrows the field. States of many numbers are seen along the direction in
    which they differ most on their way; they begin at what the block is given for the images, or at five random ones.
    """
    _picture(options["output"])
    if options["inputs"] and not options["model"]:
        raise UsageError("--input: expected --model beside it, as the toy field takes no images")
    stdout = _begin(ctx, options)
    from gradcam_cli.neuralode import flow as flows
    from gradcam_cli.neuralode.portrait import draw_flow
    from gradcam_cli.render import encode_figure
    from gradcam_cli.results import write

    block, starts = _block(options) if options["model"] else (None, _toy_starts())
    f, span = (block.f, block.t) if block else (flows.toy, (0.0, float(options["depth"])))
    w, share = flows.principal_direction(f, starts, span)
    given = {name: block.options[name] for name in flows.FORWARD if name in block.options} if block else flows.LOOSE
    residual = flows.residual_paths(f, starts, span, options["depth"], w)
    ode = flows.ode_paths(f, starts, span, w, **given)
    seen = f"state, along the direction of {share:.0%} of its variance" if w.size > 1 else "input / hidden / output"
    figure = draw_flow(residual, ode, None if block else f, seen)
    write(options["output"], encode_figure(figure, format_of(options["output"])))
    counts = [sum(len(path.at) for path in paths) for paths in (residual, ode)]
    row = {"residual evaluations": counts[0], "ODE evaluations": counts[1], "picture": str(options["output"])}
    write_table([row], stdout, as_json=options["as_json"])


def _toy_starts() -> list[tf.Tensor]:
    import numpy as np
    import tensorflow as tf

    return [tf.constant([x], tf.float64) for x in np.linspace(-3, 3, 5)]


def _block(options: dict[str, Any]) -> tuple[ODEBlock, list[tf.Tensor]]:
    """Return a model's block, and the states to begin at."""
    from gradcam_cli.neuralode.flow import random_states, states_before
    from gradcam_cli.neuralode.layer import find_block
    from gradcam_cli.storage import open_model_file

    model = open_model_file(options["model"], options["allow_unsafe_model"])
    block = find_block(model, options["block"])
    if not options["inputs"]:
        return block, random_states(block, 5, options["seed"])
    return block, states_before(model, block, _seen(model, options["inputs"], options["preprocess"]))


def _seen(model: keras.Model, inputs: Sequence[str], preprocess: str | None) -> np.ndarray:
    """Return what the network is given for images, (n, h, w, c)."""
    import numpy as np

    from gradcam_cli import images
    from gradcam_cli.inputs import find_sources
    from gradcam_cli.models import load_model
    from gradcam_cli.views import view_of

    classifier = load_model(model, preprocessing=preprocess)
    h, w, channels = classifier.input_shape
    photos = [images.decode(source.read()) for source in find_sources(inputs)]
    views = [images.see(photo, view_of(photo.shape[:2], (h, w), "squash"), (h, w), channels) for photo in photos]
    return classifier.prepare(np.stack(views))
