"""The command line: the only package that imports click; it turns options into values and calls the library."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from gradcam_cli.cli.audit import audit
from gradcam_cli.cli.click_extensions import CONTEXT_SETTINGS
from gradcam_cli.cli.compare import compare
from gradcam_cli.cli.completion import VARIABLE, use_own_bash_function
from gradcam_cli.cli.config import config
from gradcam_cli.cli.evaluate import evaluate
from gradcam_cli.cli.explain import explain
from gradcam_cli.cli.layers import layers
from gradcam_cli.cli.methods import methods
from gradcam_cli.cli.metrics import metrics
from gradcam_cli.cli.models import models
from gradcam_cli.cli.neuralode import neuralode
from gradcam_cli.cli.report import report as report_command
from gradcam_cli.cli.serve import serve
from gradcam_cli.cli.streams import discard_stdout
from gradcam_cli.console import print_error
from gradcam_cli.errors import GradcamError, InputError, UsageError
from gradcam_cli.near_matches import did_you_mean

HELP_ONLY = (("-h",), ("--help",))
EXAMPLES = (
    ("gradcam photo.jpg --model lite0", "writes photo_gradcam.png"),
    ("gradcam photos -o maps --report", "a directory, with a report"),
    ("gradcam photo.jpg --model net.keras -l conv5", "your model and layer"),
)


class DefaultCommandGroup(click.Group):
    """A group with a default command: `gradcam cat.jpg` runs `gradcam explain cat.jpg`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `explain`, unless the first argument is a command; without arguments, print an overview.

        Raises:
            UsageError: the first argument is no file, and nearly a command.
        """
        if not args and not ctx.resilient_parsing:
            click.echo(self.overview(ctx), err=True)
            ctx.exit(2)
        if args and tuple(args) not in HELP_ONLY and args[0] not in self.commands:
            if not ctx.resilient_parsing:
                self._check_misspelt(args[0])
            args = ["explain", *args]
        return super().parse_args(ctx, args)

    def _check_misspelt(self, word: str) -> None:
        hint = did_you_mean(word, self.commands, "gradcam {}")
        if hint and not word.startswith("-") and not os.path.lexists(word):
            raise UsageError(f"no such command or file: {word}", hint)

    def overview(self, ctx: click.Context) -> str:
        """Return what the program does, three examples, and the commands, in at most 25 lines."""
        formatter = ctx.make_formatter()
        formatter.write_text(self.help or "")
        with formatter.section("Examples"):
            formatter.write_dl(EXAMPLES, col_max=46)
        self.format_commands(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text("gradcam --help lists the options, gradcam COMMAND --help those of a command.")
        return formatter.getvalue().rstrip("\n")

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help of `explain`, with the commands and the examples before its options."""
        with click.Context(explain, info_name="gradcam", **explain.context_settings) as inner:
            explain.format_usage(inner, formatter)
            explain.format_help_text(inner, formatter)
            self.format_commands(ctx, formatter)
            explain.format_examples(formatter)
            explain.format_options(inner, formatter)
            explain.format_epilog(inner, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Complete commands, and the options and inputs of `explain`."""
        with click.Context(explain, info_name="explain", **explain.context_settings) as inner:
            own = super().shell_complete(ctx, incomplete) + explain.shell_complete(inner, incomplete)
        return own if incomplete.startswith("-") else [*own, CompletionItem(incomplete, type="file")]

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command. click reports every EOFError as an interruption, as if it came from a prompt."""
        try:
            return super().invoke(ctx)
        except EOFError as error:
            raise InputError(f"a file is empty or truncated: {error}") from error

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command, print its error if it fails, and exit with the documented status."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            status = super().main(words, *rest, **{"prog_name": "gradcam", **extra, "standalone_mode": False})
            sys.stdout.flush()
        except Exception as error:
            if "--debug" in words:
                raise
            if VARIABLE in os.environ:  # a message would stand in the line that is completed
                sys.exit(1)
            status = report_error(error)
        except KeyboardInterrupt:
            print_error("interrupted")
            status = 130
        with contextlib.suppress(Exception):
            sys.stdout.flush()  # a failure has been reported
        sys.exit(status if isinstance(status, int) else 0)


def report_error(error: Exception) -> int:
    """Print an error and return its exit status."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    if isinstance(error, click.ClickException):
        context = getattr(error, "ctx", None)
        print_error(error.format_message(), f"{context.command_path} --help lists the options" if context else None)
        return error.exit_code
    if isinstance(error, click.Abort):
        print_error("interrupted")
        return 130
    if isinstance(error, GradcamError):
        print_error(error.message, error.hint)
        return error.exit_status
    if isinstance(error, BrokenPipeError):  # the reader closed the pipe
        discard_stdout()
        return 1
    if isinstance(error, OSError):
        print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 3
    if isinstance(error, MemoryError):
        print_error("out of memory")
        return 3
    print_error(f"unexpected {type(error).__name__}: {error}", "rerun with --debug for the traceback, and report it")
    return 3


@click.command(cls=DefaultCommandGroup, context_settings=CONTEXT_SETTINGS)
def gradcam() -> None:
    """Show which parts of an image contribute to the class score of a Keras image classifier."""


use_own_bash_function()
COMMANDS = (
    *(explain, serve, evaluate, compare, audit, report_command, layers, models, methods, metrics, config, neuralode),
)
for command in COMMANDS:
    gradcam.add_command(command)
