"""`gradcam config`: the values of all options, and where they come from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click
from click.core import ParameterSource

from gradcam_cli.cli.click_extensions import GroupedCommand
from gradcam_cli.cli.option_defaults import ProjectTable, defaults_for, find_table, key_of
from gradcam_cli.cli.options import general_options, setup_logging
from gradcam_cli.cli.tables import write_table
from gradcam_cli.errors import UsageError
from gradcam_cli.near_matches import did_you_mean


@click.command(cls=GroupedCommand, short_help="Print the values of all options, and where they come from.")
@click.argument("command", nargs=-1)
@general_options
@click.pass_context
def config(ctx: click.Context, /, **options: Any) -> None:
    """Print the values that the options of a COMMAND have without a command line, and where they come from.

    Without a COMMAND, they are those of `gradcam INPUT...`. A value comes from an environment variable such as
    GRADCAM_LAYER, from the table [tool.gradcam] of the nearest pyproject.toml, or is the default.
    """
    setup_logging(ctx, quiet=options["quiet"], verbose=options["verbose"], debug=options["debug"])
    names, command = options["command"] or ("explain",), ctx.find_root().command
    for name in names:
        commands = getattr(command, "commands", {})
        if name not in commands:
            hint = did_you_mean(name, commands) or f"expected {', '.join(commands) or 'no further name'}"
            raise UsageError(f"config: no such command: {name}", hint)
        command = commands[name]
    if isinstance(command, click.Group):
        raise UsageError(f"config: expected one of {', '.join(command.commands)} behind {' '.join(names)}")
    project = find_table()
    values = defaults_for(command, names, project)
    inner = command.make_context(names[-1], [], ctx.parent, resilient_parsing=True, default_map=values)
    write_table(list(_rows(command, inner, project)), sys.stdout, as_json=options["as_json"])


def _rows(command: click.Command, ctx: click.Context, project: ProjectTable | None) -> Iterator[dict[str, Any]]:
    file = str(project.file) if project else ""
    for option in command.params:
        if isinstance(option, click.Option) and option.name and option.name not in ("help", "version"):
            source, value = ctx.get_parameter_source(option.name), ctx.params.get(option.name)
            origins = {ParameterSource.DEFAULT_MAP: file, ParameterSource.ENVIRONMENT: f"${option.envvar}"}
            yield {
                "option": f"--{key_of(option)}",
                "value": None if value is None else _text(value),
                "from": origins.get(source, "default") if source else "default",
            }


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return " ".join(map(_text, value)) if isinstance(value, tuple | list) else str(value)
