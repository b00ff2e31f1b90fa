"""The option `--report` and what a command tells of itself to its report."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import PathOrUrl, option_group
from gradcam_cli.errors import UsageError
from gradcam_cli.pipeline.config import MAP_SETTINGS, RENDER_OPTIONS

if TYPE_CHECKING:
    from gradcam_cli.report.writer import ReportWriter

report_option = option_group("Output")(
    "--report", is_flag=True, help="Write an HTML report of the run, index.html, into the output directory."
)


def report_directory_option(default: str) -> Callable[..., Any]:
    """Return the option that says where a report goes which has no results beside it."""
    return option_group("Output")(
        "-o",
        "--output",
        metavar="DIR",
        type=PathOrUrl(file_okay=False),
        default=default,
        show_default=True,
        help="Where the report goes.",
    )


def require_report_directory(options: dict[str, Any], *, into_directory: bool) -> None:
    """Check that a run that is to have a report writes into a directory.

    Raises:
        UsageError: it does not.
    """
    if options["report"] and not into_directory:
        raise UsageError(f"--report with -o {options['output']}: expected a directory")


RERUN_OPTIONS = (
    *("model", "weights", "labels", "preprocess", "input_size", "allow_unsafe", "max_pixels"),
    *MAP_SETTINGS,
    *RENDER_OPTIONS,
)
"""Options that change the values or the look of a map, and that all maps of a run share."""
MAX_LISTED_INPUTS = 4


def open_report(
    ctx: click.Context,
    options: dict[str, Any],
    directory: Path,
    inputs: int | None,
    *,
    thresholds: Collection[tuple[str, str, float]] = (),
    rerun_options: Collection[str] = RERUN_OPTIONS,
) -> AbstractContextManager[ReportWriter | None]:
    """Return the recorder of a run that is to have a report, to be entered; None within it for others.

    Args:
        ctx: of the command.
        options: of the command.
        directory: of the report.
        inputs: how many there are; None where nobody knows yet.
        thresholds: limits that the run is held to, as (metric, `least` or `most`, value).
        rerun_options: the options that a command needs to make one of the maps again.
    """
    if not options["report"]:
        return nullcontext()
    from gradcam_cli.report.image_store import ReportImages
    from gradcam_cli.report.writer import ReportWriter

    began = {
        "command": _command_name(ctx),
        "line": _command_line(ctx),
        "again": list(options_as_argv(ctx, rerun_options)),
        "inputs": inputs,
        "bounds": list(thresholds),
    }
    album = ReportImages(directory, options.get("cmap", "jet"), options.get("opacity", 0.5))
    return ReportWriter(directory, began, album, resume=bool(options.get("skip_existing")))


def _command_name(ctx: click.Context) -> str:
    return ctx.command_path.removeprefix("gradcam ")


def _command_line(ctx: click.Context) -> str:
    """Return the command as it could be typed; of many inputs the first few."""
    inputs = [str(path) for path in ctx.params.get("inputs", ())]
    listed = [*inputs[:MAX_LISTED_INPUTS], *(["..."] if len(inputs) > MAX_LISTED_INPUTS else [])]
    arguments = [str(ctx.params[name]) for name in ("baseline", "new") if name in ctx.params]
    name = [] if _command_name(ctx) == "explain" else _command_name(ctx).split()
    return shlex.join(["gradcam", *name, *listed, *arguments, *options_as_argv(ctx)])


def options_as_argv(ctx: click.Context, names: Collection[str] | None = None) -> Iterator[str]:
    """Yield the options that were given, with their values, as they could be typed.

    Args:
        ctx: of the command.
        names: of the parameters that are wanted; None for all.
    """
    for option in ctx.command.params:
        name = option.name or ""
        given = ctx.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)
        if not isinstance(option, click.Option) or not given or not (names is None or name in names):
            continue
        flag, value = max(option.opts, key=len), ctx.params[name]
        if option.is_flag:
            yield flag
            continue
        for one in value if option.multiple else [value]:
            yield from (flag, _format_option(one))


def _format_option(value: Any) -> str:
    """Return a value as it is typed: sizes `HxW`, limits `metric=value`, lists with commas."""
    if isinstance(value, tuple):
        return ("=" if isinstance(value[0], str) else "x").join(
            f"{part:g}" if isinstance(part, float) else str(part) for part in value
        )
    return ",".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
