"""The option `--report`, and the record of the command line that a report contains."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import PathOrUrl, option_group
from gradcam_cli.cli.picture_options import render_options
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.thresholds import MetricLimit
from gradcam_cli.output.render_options import RENDER_OPTIONS
from gradcam_cli.pipeline.config import MAP_SETTINGS

if TYPE_CHECKING:
    from gradcam_cli.reporting.writer import ReportWriter

report_option = option_group("Output")(
    "--report", is_flag=True, help="Write an HTML report of the run, index.html, into the output directory."
)

RERUN_OPTIONS = (
    *(
        "model",
        "weights",
        "labels",
        "preprocess",
        "input_size",
        "task",
        "other_inputs",
        "packages",
        "allow_unsafe",
        "max_pixels",
    ),
    *MAP_SETTINGS,
    *RENDER_OPTIONS,
)
"""Options that change the values or the look of a map, and that all maps of a run share."""
MAX_LISTED_INPUTS = 4


def report_directory_option(default: str) -> Callable[..., Any]:
    """Return the option for the directory of a report without other output files."""
    return option_group("Output")(
        "-o",
        "--output",
        metavar="DIR",
        type=PathOrUrl(file_okay=False),
        default=default,
        show_default=True,
        help="Directory of the report.",
    )


def require_report_directory(options: dict[str, Any], *, into_directory: bool) -> None:
    """Check that a run with a report writes into a directory.

    Raises:
        UsageError: it does not.
    """
    if options["report"] and not into_directory:
        raise UsageError(f"--report requires a directory, got -o {options['output']}")


def open_report(
    ctx: click.Context,
    options: dict[str, Any],
    directory: Path,
    inputs: int | None,
    *,
    thresholds: Collection[tuple[str, str, float]] = (),
    rerun_options: Collection[str] = RERUN_OPTIONS,
) -> AbstractContextManager[ReportWriter | None]:
    """Return a context manager that yields the report's writer, or None for a run without a report.

    Args:
        ctx: context of the command.
        options: options of the command.
        directory: directory of the report.
        inputs: number of inputs; None if it is unknown at the start.
        thresholds: limits for the metrics of the run, as (metric, `min` or `max`, value).
        rerun_options: options that recompute a map of the run.
    """
    if not options["report"]:
        return nullcontext()
    from gradcam_cli.reporting.image_store import ReportImages
    from gradcam_cli.reporting.writer import ReportWriter

    render = render_options(options)
    start_record = {
        "command": _command_name(ctx),
        "command_line": command_line(ctx),
        "rerun_args": list(options_as_argv(ctx, rerun_options)),
        "inputs": inputs,
        "thresholds": list(thresholds),
        "cmap": render.cmap,
        "blend": render.blend,
        "only": options.get("only"),
        "seed": options.get("seed"),
    }
    images = ReportImages(directory, render)
    return ReportWriter(directory, start_record, images, resume=bool(options.get("skip_existing")))


def written_places(options: dict[str, Any], *names: str) -> list[str]:
    """Return the files and directories that a command has written: its report, and the values of options."""
    report = [f"{options['output']}/"] if options["report"] else []
    return [*report, *(str(options[name]) for name in names if options[name])]


def rerun_options(ctx: click.Context) -> tuple[str, ...]:
    """Return the options of the command line that recompute a map of the run."""
    return tuple(options_as_argv(ctx, RERUN_OPTIONS))


def _command_name(ctx: click.Context) -> str:
    return ctx.command_path.removeprefix("gradcam ")


def command_line(ctx: click.Context) -> str:
    """Return the command line, quoted for a shell; long lists of inputs are shortened."""
    inputs = [str(path) for path in ctx.params.get("inputs", ())]
    listed = [*inputs[:MAX_LISTED_INPUTS], *(["..."] if len(inputs) > MAX_LISTED_INPUTS else [])]
    arguments = [str(ctx.params[name]) for name in ("baseline", "new") if name in ctx.params]
    command = [] if _command_name(ctx) == "explain" else _command_name(ctx).split()
    return shlex.join(["gradcam", *command, *listed, *arguments, *options_as_argv(ctx)])


def options_as_argv(ctx: click.Context, names: Collection[str] | None = None) -> Iterator[str]:
    """Yield the options of the command line with their values; options with default values are left out.

    Args:
        ctx: context of the command.
        names: names of the parameters to include; None for all.
    """
    for option in ctx.command.params:
        name = option.name or ""
        is_set = ctx.get_parameter_source(name) not in (None, click.core.ParameterSource.DEFAULT)
        if not isinstance(option, click.Option) or not is_set or not (names is None or name in names):
            continue
        flag, value = _option_flag(option), ctx.params[name]
        if option.is_flag:
            yield flag
            continue
        for item in value if option.multiple else [value]:
            yield from (flag, _format_option(item))


def _option_flag(option: click.Option) -> str:
    """Return the first long name of an option."""
    return next((name for name in option.opts if name.startswith("--")), option.opts[0])


def _format_option(value: Any) -> str:
    """Format a value as on the command line: sizes as `HxW`, lists with commas."""
    if isinstance(value, tuple) and not isinstance(value, MetricLimit):
        return "x".join(map(str, value))
    return ",".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
