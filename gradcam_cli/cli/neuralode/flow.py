"""`gradcam neuralode flow`: draw the flow of an ODE next to a residual network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, PreprocessName
from gradcam_cli.cli.model_options import trust_options
from gradcam_cli.cli.neuralode.options import figure_option, option, seed_option, setup
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.tables import write_table
from gradcam_cli.errors import UsageError
from gradcam_cli.output.destination import FIGURE_SUFFIXES, format_for_suffix, require_suffix

if TYPE_CHECKING:
    import tensorflow as tf

    from gradcam_cli.neuralode.layers.ode_block import ODEBlock


@click.command(cls=GroupedCommand, short_help="Draw the flow of an ODE next to a residual network.")
@option(
    "--model",
    metavar="FILE.keras",
    type=click.Path(path_type=Path),
    help="Draw the ODEBlock of this model. [default: one-dimensional toy dynamics]",
)
@option("--block", metavar="NAME", help="Name of the ODEBlock; required if the model has several.")
@option(
    "--image",
    "images",
    metavar="IMAGE",
    multiple=True,
    help="Start at the input of the ODEBlock for this image, repeatable. [default: five random states]",
)
@seed_option("the random states")
@option("--preprocess", metavar="NAME", type=PreprocessName(), help="Preprocessing of the images; detected by default.")
@trust_options
@option(
    "--num-layers",
    type=click.IntRange(1, 50),
    default=5,
    show_default=True,
    metavar="N",
    help="Number of layers of the residual network.",
)
@figure_option("flow.png")
@general_options
@click.pass_context
def flow(ctx: click.Context, /, **options: Any) -> None:
    """Draw the flow of an ODE next to a residual network: Figure 1 of the paper.

    The left panel shows a residual network with N layers: Euler steps of size 1 for the toy dynamics, or N equal steps
    over the interval of the ODEBlock. The right panel shows the solution of the same ODE. Dots are evaluations of f,
    arrows are the slopes. States with several dimensions are projected onto their first principal component.
    """
    require_suffix("-o", options["output"], FIGURE_SUFFIXES)
    if options["images"] and not options["model"]:
        raise UsageError("--image requires --model")
    stdout = setup(ctx, options)
    from gradcam_cli.neuralode.demos import flow as library
    from gradcam_cli.neuralode.demos.initial_states import toy_states
    from gradcam_cli.neuralode.demos.plots import draw_flow
    from gradcam_cli.neuralode.training.files import check_outputs
    from gradcam_cli.output.figure_files import encode_figure
    from gradcam_cli.storage.files import write_output

    check_outputs({"-o": options["output"]})
    block, starts = _load_block(options) if options["model"] else (None, toy_states())
    f, span = (block.f, block.t_span) if block else (library.toy_dynamics, (0.0, float(options["num_layers"])))
    solver_options = (
        {name: block.options[name] for name in library.FORWARD_OPTIONS if name in block.options}
        if block
        else library.TOY_SOLVER_OPTIONS
    )
    w, fraction = library.first_principal_component(f, starts, span)
    residual = library.residual_paths(f, starts, span, options["num_layers"], w)
    ode = library.ode_paths(f, starts, span, w, **solver_options)
    xlabel = f"first principal component ({fraction:.0%} of variance)" if w.size > 1 else "input / hidden / output"
    figure = draw_flow(residual, ode, None if block else f, xlabel)
    write_output(options["output"], encode_figure(figure, format_for_suffix(options["output"])))
    row = {
        "nfe_residual": sum(len(path.eval_t) for path in residual),
        "nfe_ode": sum(len(path.eval_t) for path in ode),
        "figure": str(options["output"]),
    }
    write_table([row], stdout, as_json=options["as_json"])


def _load_block(options: dict[str, Any]) -> tuple[ODEBlock, list[tf.Tensor]]:
    """Return the ODEBlock of the model, and the initial states."""
    from gradcam_cli.models.model_files import load_model_file
    from gradcam_cli.neuralode.demos.initial_states import block_inputs, load_images, random_states
    from gradcam_cli.neuralode.layers.find_block import find_block

    model = load_model_file(options["model"], options["allow_unsafe"], options["packages"])
    block = find_block(model, options["block"])
    if not options["images"]:
        return block, random_states(block, 5, options["seed"])
    return block, block_inputs(model, block, load_images(model, options["images"], options["preprocess"]))
