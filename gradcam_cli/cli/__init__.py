"""The command line: click lives in this folder only, and turns options into values."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from gradcam_cli.cli.click_extensions import CONTEXT_SETTINGS
from gradcam_cli.cli.compare import compare
from gradcam_cli.cli.evaluate import evaluate
from gradcam_cli.cli.explain import explain
from gradcam_cli.cli.layers import layers
from gradcam_cli.cli.models import models
from gradcam_cli.cli.neuralode import neuralode
from gradcam_cli.cli.report import report as report_command
from gradcam_cli.console import print_error
from gradcam_cli.errors import GradcamError

HELP_ONLY = ((), ("-h",), ("--help",))


class DefaultCommandGroup(click.Group):
    """A group whose first command is meant where none is named: `gradcam cat.jpg` is `gradcam explain cat.jpg`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `explain` in front, unless a command comes first."""
        if tuple(args) not in HELP_ONLY and args[0] not in self.commands:
            args = ["explain", *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Show the help of `explain`, which is what most people want, with the other commands."""
        with click.Context(explain, info_name="gradcam", **explain.context_settings) as inner:
            explain.format_help(inner, formatter)
        self.format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete commands, and what `explain` completes."""
        with click.Context(explain, info_name="explain", **explain.context_settings) as inner:
            return super().shell_complete(ctx, incomplete) + explain.shell_complete(inner, incomplete)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:  # type: ignore[override]
        """Run, and end with the promised exit status and message, whatever happens."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(words, *rest, **{"prog_name": "gradcam", **extra, "standalone_mode": False})
        except Exception as error:
            if "--debug" in words:
                raise
            status = report_error(error)
        except KeyboardInterrupt:
            print_error("interrupted")
            status = 130
        sys.exit(status if isinstance(status, int) else 0)


def report_error(error: Exception) -> int:
    """Say what went wrong and return the exit status that it means."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        print_error(error.format_message(), f"{context.command_path} --help tells more" if context else None)
        return error.exit_code
    if isinstance(error, click.Abort):
        print_error("interrupted")
        return 130
    if isinstance(error, GradcamError):
        print_error(error.message, error.hint)
        return error.exit_status
    if isinstance(error, BrokenPipeError):  # the reader has seen enough
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    print_error(f"unexpected {type(error).__name__}: {error}", "--debug shows where; please report it")
    return 3


@click.command(cls=DefaultCommandGroup, context_settings=CONTEXT_SETTINGS)
def gradcam() -> None:
    """Show which parts of an image made a convolutional network choose a class."""


gradcam.add_command(explain)
gradcam.add_command(evaluate)
gradcam.add_command(compare)
gradcam.add_command(report_command)
gradcam.add_command(layers)
gradcam.add_command(models)
gradcam.add_command(neuralode)
