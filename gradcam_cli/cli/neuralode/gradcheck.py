"""`gradcam neuralode gradcheck`: compare gradients with finite differences."""

from __future__ import annotations

from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.hinted_parameters import HintedArgument
from gradcam_cli.cli.neuralode.options import option, seed_option, setup
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.tables import write_table
from gradcam_cli.neuralode.solver.tableaus import SOLVERS
from gradcam_cli.output.numbers import format_number

PROBLEMS = ("linear", "logistic", "spiral", "network")
ERRORS = ("rtol", "z0", "theta", "times")
"""Columns in scientific notation: the tolerance and the relative errors."""


@click.command(cls=GroupedCommand, short_help="Compare gradients with finite differences.")
@click.argument("problem", cls=HintedArgument, metavar="[PROBLEM]", type=click.Choice(PROBLEMS), default="network")
@option(
    "--solver",
    type=click.Choice(list(SOLVERS)),
    default="dopri5",
    show_default=True,
    help="Solver of the forward and backward solve.",
)
@seed_option("the directions in which derivatives are compared")
@general_options
@click.pass_context
def gradcheck(ctx: click.Context, /, problem: str, **options: Any) -> None:
    """Compare the gradients of the solver with finite differences.

    PROBLEM is linear, logistic, spiral or network. The default is network, a small convolutional f that depends on t.
    Each row shows a gradient method and its tolerance, the relative errors of the derivatives with respect to the
    initial state, the parameters and the times, and the number of function evaluations.
    """
    stdout = setup(ctx, options)
    from gradcam_cli.neuralode.solver import gradcheck as library

    rows = library.gradcheck(*library.PROBLEMS[problem](), solver=options["solver"], seed=options["seed"])
    table = [row._asdict() for row in rows]
    if not options["as_json"]:
        table = [{**row, **{name: format_number(row[name], ".1e") for name in ERRORS}} for row in table]
    write_table(table, stdout, as_json=options["as_json"])
