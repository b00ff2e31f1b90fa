"""`gradcam neuralode ...`: networks whose middle is an ordinary differential equation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, PreprocessName
from gradcam_cli.cli.model_options import allow_unsafe_option
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.tables import write_table
from gradcam_cli.errors import UsageError
from gradcam_cli.output.destination import format_for_suffix

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from gradcam_cli.neuralode.layers.ode_block import ODEBlock

from gradcam_cli.cli.neuralode.options import begin, option, require_picture


@click.command(cls=GroupedCommand, short_help="Draw an equation's flow beside a residual network.")
@option("--model", metavar="FILE.keras", type=click.Path(path_type=Path), help="Draw its ODEBlock; else a toy field.")
@option("--block", metavar="NAME", help="The ODEBlock, where the model has several.")
@option("--input", "inputs", metavar="IMAGE", multiple=True, help="Begin at what the block gets of it; repeatable.")
@option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of random states without.")
@option("--preprocess", metavar="NAME", type=PreprocessName(), help="Of the images, where the model does not say.")
@allow_unsafe_option
@option("--depth", type=click.IntRange(1, 50), default=5, show_default=True, metavar="N", help="Layers.")
@option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default="flow.png",
    show_default=True,
    help="The picture, PNG or JPEG.",
)
@general_options
@click.pass_context
def flow(ctx: click.Context, /, **options: Any) -> None:
    """Draw a residual network's steps beside an equation's flow: Figure 1 of the paper.

    Left a residual network of so many layers, which is Euler's method: steps of size 1 for the toy field, and of a
    model's ODEBlock equal shares of its time. Right the solution of the same equation, as its solver finds it. Dots
    are the points where each evaluates f, arrows the field. States of many numbers are seen along the direction in
    which they differ most on their way; they begin at what the block is given for the images, or at five random ones.
    """
    require_picture(options["output"])
    if options["inputs"] and not options["model"]:
        raise UsageError("--input: expected --model beside it, as the toy field takes no images")
    stdout = begin(ctx, options)
    from gradcam_cli.neuralode.demos import flow as flows
    from gradcam_cli.neuralode.demos.plots import draw_flow
    from gradcam_cli.output.figures import encode_figure
    from gradcam_cli.storage.files import write_output

    block, starts = _load_block(options) if options["model"] else (None, _toy_initial_states())
    f, span = (block.f, block.t_span) if block else (flows.toy_dynamics, (0.0, float(options["depth"])))
    w, share = flows.first_principal_component(f, starts, span)
    given = (
        {name: block.options[name] for name in flows.FORWARD_OPTIONS if name in block.options}
        if block
        else flows.TOY_SOLVER_OPTIONS
    )
    residual = flows.residual_paths(f, starts, span, options["depth"], w)
    ode = flows.ode_paths(f, starts, span, w, **given)
    seen = f"state, along the direction of {share:.0%} of its variance" if w.size > 1 else "input / hidden / output"
    figure = draw_flow(residual, ode, None if block else f, seen)
    write_output(options["output"], encode_figure(figure, format_for_suffix(options["output"])))
    counts = [sum(len(path.eval_t) for path in paths) for paths in (residual, ode)]
    row = {"residual evaluations": counts[0], "ODE evaluations": counts[1], "picture": str(options["output"])}
    write_table([row], stdout, as_json=options["as_json"])


def _toy_initial_states() -> list[tf.Tensor]:
    import numpy as np
    import tensorflow as tf

    return [tf.constant([x], tf.float64) for x in np.linspace(-3, 3, 5)]


def _load_block(options: dict[str, Any]) -> tuple[ODEBlock, list[tf.Tensor]]:
    """Return a model's block, and the states to begin at."""
    from gradcam_cli.models.loading import load_model_file
    from gradcam_cli.neuralode.demos.flow import block_inputs, random_states
    from gradcam_cli.neuralode.layers.ode_block import find_block

    model = load_model_file(options["model"], options["allow_unsafe"])
    block = find_block(model, options["block"])
    if not options["inputs"]:
        return block, random_states(block, 5, options["seed"])
    return block, block_inputs(model, block, _preprocess_images(model, options["inputs"], options["preprocess"]))


def _preprocess_images(model: keras.Model, inputs: Sequence[str], preprocess: str | None) -> np.ndarray:
    """Return what the network is given for images, (n, h, w, c)."""
    import numpy as np

    from gradcam_cli.images import decode, fit
    from gradcam_cli.images.discover import find_sources
    from gradcam_cli.images.fit import crop_box_for
    from gradcam_cli.models.classifier import load_model

    classifier = load_model(model, preprocess=preprocess)
    h, w, channels = classifier.input_shape
    photos = [decode.decode(source.read()) for source in find_sources(inputs)]
    views = [
        fit.resize_to_input(photo, crop_box_for(photo.shape[:2], (h, w), "squash"), (h, w), channels)
        for photo in photos
    ]
    return classifier.preprocess(np.stack(views))
