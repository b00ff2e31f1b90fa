"""`gradcam models`: list the classifiers that `--model` accepts by name."""

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


@click.command(cls=GroupedCommand, short_help="List the models that --model accepts by name.")
@general_options
@click.pass_context
def models(ctx: click.Context, /, **options: Any) -> None:
    """List the models that --model accepts by name, and whether their weights are on this machine.

    lite0 and mini are built in. input_size is the side of the square input in pixels, weights_mb the size of the
    weight file in megabytes; cached is yes if Keras's cache or GRADCAM_WEIGHTS contains the weights.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    rows = [
        {
            "name": spec.name,
            "input_size": spec.input_size,
            "default_layer": spec.default_layer,
            "weights_mb": spec.megabytes,
            "cached": _is_cached(spec),
        }
        for spec in catalog().values()
    ]
    write_table(rows, sys.stdout, as_json=options["as_json"])


def _is_cached(spec: ModelSpec) -> bool:
    try:
        return find_weights(spec) is not None
    except WeightsError:
        return False
