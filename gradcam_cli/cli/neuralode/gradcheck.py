"""`gradcam neuralode gradcheck`: compare gradients with finite differences."""

from __future__ import annotations

from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.neuralode.options import begin, option
from gradcam_cli.cli.options import general_options
from gradcam_cli.cli.tables import write_table
from gradcam_cli.neuralode.solver.tableaus import SOLVERS

PROBLEMS = ("linear", "logistic", "spiral", "network")


@click.command(cls=GroupedCommand)
@click.argument("f", metavar="F", type=click.Choice(PROBLEMS), default="network")
@option("--solver", type=click.Choice(list(SOLVERS)), default="dopri5", show_default=True, help="Of both solves.")
@option("--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Of the directions.")
@general_options
@click.pass_context
def gradcheck(ctx: click.Context, /, problem: str, **options: Any) -> None:
    """Check the gradients of an equation against finite differences.

    F is linear, logistic, spiral or network (the default: a small convolutional one that depends on time). Each line
    has a way to the gradient, its tolerance, the relative errors of the derivatives by the state, the parameters and
    the times, and how often f was evaluated.
    """
    stdout = begin(ctx, options)
    from gradcam_cli.neuralode.solver import gradcheck as checking

    rows = checking.gradcheck(*checking.PROBLEMS[problem](), solver=options["solver"], seed=options["seed"])
    table = [row._asdict() for row in rows]
    if not options["as_json"]:
        errors = ("rtol", "z0", "theta", "times")
        table = [{name: f"{v:.1e}" if name in errors else v for name, v in row.items()} for row in table]
    write_table(table, stdout, as_json=options["as_json"])
