"""`gradcam layers MODEL`: list the layers that `--layer` accepts."""

from __future__ import annotations

import sys
from typing import Any

import click

from gradcam_cli.cli.click_extensions import GroupedCommand, ModelNameOrFile
from gradcam_cli.cli.model_options import input_size_option, other_inputs_option, trust_options
from gradcam_cli.cli.options import before_loading, general_options, setting_option, setup_logging
from gradcam_cli.cli.tables import write_table


@click.command(cls=GroupedCommand, short_help="List the layers of a model, and which of them --layer accepts.")
@click.argument("model", type=ModelNameOrFile())
@input_size_option
@other_inputs_option
@setting_option("target")
@trust_options
@general_options
@click.pass_context
def layers(ctx: click.Context, /, model: str, **options: Any) -> None:
    """List the layers of MODEL, and which of them can be explained.

    MODEL is mini, the name of a Keras application, or a .keras or .h5 file; no weights are
    downloaded. Layers are listed in call order, with the path that --layer takes, the output
    shape, (u, v, k) or (tokens, k), and the number of parameters. The layer that --layer auto
    selects is marked. A layer whose cells are not places of the input is excluded: the reason
    stands in its line.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    stdout = sys.stdout
    before_loading(ctx, options, model)
    from gradcam_cli.models.classifier import load_model
    from gradcam_cli.pipeline.layer_list import LAYER_OPTIONS, list_layers

    named = {name: options[name] for name in LAYER_OPTIONS}
    classifier = load_model(model, weights="none", offline=True, **named)
    rows = [layer.to_dict() for layer in list_layers(classifier, options["target"])]
    if not options["as_json"]:
        for row in rows:
            excluded = row.pop("excluded")
            row["default"] = "<- auto" if row["default"] else excluded or ""
    write_table(rows, stdout, as_json=options["as_json"])
