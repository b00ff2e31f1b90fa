"""`gradcam models`: the classifiers that are known by name."""

from __future__ import annotations

import sys
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.options import general_options, setup_logging
from gradcam_cli.cli.tables import write_table
from gradcam_cli.errors import WeightsError
from gradcam_cli.models.catalog import ModelSpec, catalog
from gradcam_cli.models.weights import find_weights


@click.command(cls=GroupedCommand, short_help="List the models that are known by name.")
@general_options
@click.pass_context
def models(ctx: click.Context, /, **options: Any) -> None:
    """List the models known by name, and whether their weights are here.

    mini is built in. Input is the side of the square image in pixels; weights are in megabytes; here says whether
    Keras's cache or GRADCAM_WEIGHTS holds them already.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    rows = [
        {
            "name": application.name,
            "input": application.input_size,
            "default layer": application.default_layer,
            "weights MB": application.megabytes,
            "here": _is_cached(application),
        }
        for application in catalog().values()
    ]
    if options["as_json"]:
        rows = [{key.lower().replace(" ", "_"): value for key, value in row.items()} for row in rows]
    write_table(rows, sys.stdout, as_json=options["as_json"])


def _is_cached(spec: ModelSpec) -> bool:
    try:
        return find_weights(spec) is not None
    except WeightsError:
        return False
