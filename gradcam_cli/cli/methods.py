"""`gradcam methods`: list the methods that `--method` accepts."""

from __future__ import annotations

import sys
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.options import general_options, setup_logging
from gradcam_cli.cli.tables import write_table
from gradcam_cli.methods.registry import LAYER_METHODS, METHODS


@click.command(cls=GroupedCommand, short_help="List the methods that --method accepts, with their cost.")
@general_options
@click.pass_context
def methods(ctx: click.Context, /, **options: Any) -> None:
    """List the methods that --method accepts, what their maps show, and their cost.

    The cost is the number of passes through the network for each image and class. A shared pass is one forward and one
    backward pass for all these methods together. The method flow exists only in `gradcam neuralode explain`.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    rows: list[dict[str, Any]] = [
        {"name": name, "cost": method.cost, "description": method.description} for name, method in METHODS.items()
    ]
    if options["as_json"]:
        for row in rows:
            method = METHODS[row["name"]]
            row |= {"kind": method.kind, "uses_layer": method.uses_layer, "counterfactual": method.negatable}
            row["command"] = "explain" if row["name"] in LAYER_METHODS else "neuralode explain"
    write_table(rows, sys.stdout, as_json=options["as_json"])
