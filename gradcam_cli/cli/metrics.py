"""`gradcam metrics`: list the metrics that `gradcam evaluate --metric` accepts."""

from __future__ import annotations

import sys
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.options import general_options, setup_logging
from gradcam_cli.cli.tables import write_table
from gradcam_cli.evaluation.metrics.registry import METRICS


@click.command(cls=GroupedCommand, short_help="List the metrics of `gradcam evaluate`, with their cost.")
@general_options
@click.pass_context
def metrics(ctx: click.Context, /, **options: Any) -> None:
    """List the metrics that `gradcam evaluate --metric` accepts, by family.

    The cost is what each image needs besides its maps: passes through the network, or computing maps once more.
    Metrics of one family share them where the table has the same words.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    if options["as_json"]:
        rows = [{"name": name, **metric._asdict()} for name, metric in METRICS.items()]
    else:
        rows = [
            {
                "family": metric.family,
                "name": name,
                "better": metric.direction,
                "annotations": "required" if metric.needs_annotations else "-",
                "cost": metric.cost,
            }
            for name, metric in METRICS.items()
        ]
    write_table(rows, sys.stdout, as_json=options["as_json"])
