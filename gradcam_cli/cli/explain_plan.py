"""The inputs and output files of `gradcam INPUT...`, and their list with `--dry-run`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gradcam_cli.console import escape_control_chars
from gradcam_cli.images.discover import expand_inputs, find_sources
from gradcam_cli.images.source import Source
from gradcam_cli.methods.registry import map_keys
from gradcam_cli.models.class_selection import expand_top_n
from gradcam_cli.output.destination import DEFAULT_OUTPUT_DIR, Destination
from gradcam_cli.output.naming import OutputFile, paths_by_map, plan_outputs, setting_parts
from gradcam_cli.pipeline.config import DEFAULTS


def plan_tasks(
    options: dict[str, Any], destination: Destination, rank: int
) -> tuple[Sequence[str], Iterator[tuple[Source, list[OutputFile]]]]:
    """Return the inputs, and an iterator over what is explained of them, each with a file for every map.

    Args:
        options: the options of the command line.
        destination: of the files.
        rank: number of spatial axes of the model input.

    Raises:
        UsageError: there is no input, or two outputs would have the same name.
    """
    inputs = expand_inputs(options["inputs"], options["files_from"], nul=options["null"])
    layers, methods = list(dict.fromkeys(options["layers"])), list(dict.fromkeys(options["methods"]))
    maps = map_keys(layers, methods, expand_top_n(options["classes"]))
    skip = destination.directory or DEFAULT_OUTPUT_DIR
    sources = find_sources(inputs, skip=skip, arrays=bool(options["rgb"]), rank=rank)
    gamma = "" if options["gamma"] == DEFAULTS["gamma"] else f"{options['gamma']:g}"
    parts = setting_parts(options["target"], list(dict.fromkeys(options["against"])), gamma, options["expect"])
    return inputs, plan_outputs(sources, destination, maps, inputs, parts)


def dry_run(planned: Iterable[tuple[Source, list[OutputFile]]], *, as_json: bool) -> int:
    """Print the files that each input would write."""
    from gradcam_cli.images.load import Skipped
    from gradcam_cli.pipeline.json_lines import json_line, to_json

    for source, outputs in planned:
        if as_json:
            for paths in paths_by_map(outputs):
                sys.stdout.write(json_line({**to_json(Skipped(source.name), paths), "status": "dry_run"}) + "\n")
        else:
            listed = ", ".join(str(output.path) for output in outputs)
            sys.stdout.write(escape_control_chars(f"{source.name} -> {listed}") + "\n")
    return 0
