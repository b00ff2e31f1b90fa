"""The option `--report` and what a command tells of itself to its report."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gradcam_cli.cli.click_extensions import PlaceType, under
from gradcam_cli.errors import UsageError

if TYPE_CHECKING:
    from gradcam_cli.report.writer import Recorder

report_option = under("Output")(
    "--report", is_flag=True, help="Write an HTML report of the run, index.html, into the output directory."
)


def report_directory_option(default: str) -> Callable[..., Any]:
    """Return the option that says where a report goes which has no results beside it."""
    return under("Output")(
        "-o",
        "--output",
        metavar="DIR",
        type=PlaceType(file_okay=False),
        default=default,
        show_default=True,
        help="Where the report goes.",
    )


def check_report(options: dict[str, Any], *, into_directory: bool) -> None:
    """Check that a run that is to have a report writes into a directory.

    Raises:
        UsageError: it does not.
    """
    if options["report"] and not into_directory:
        raise UsageError(f"--report with -o {options['output']}: expected a directory")


AGAIN = (
    *("model", "weights", "labels", "preprocess", "input_size", "allow_unsafe_model", "max_pixels", "score", "fit"),
    *("zoom_order", "counterfactual", "smooth", "channels", "precision", "alpha", "cmap", "dpi"),
)
"""Options that change what a map is or how it looks, and hold for all maps of a run."""
MOST_INPUTS = 4


def open_report(
    ctx: click.Context,
    options: dict[str, Any],
    directory: Path,
    inputs: int | None,
    *,
    bounds: Collection[tuple[str, str, float]] = (),
    again: Collection[str] = AGAIN,
) -> AbstractContextManager[Recorder | None]:
    """Return the recorder of a run that is to have a report, to be entered; None within it for others.

    Args:
        ctx: of the command.
        options: of the command.
        directory: of the report.
        inputs: how many there are; None where nobody knows yet.
        bounds: limits that the run is held to, as (metric, `least` or `most`, value).
        again: the options that a command needs to make one of the maps again.
    """
    if not options["report"]:
        return nullcontext()
    from gradcam_cli.report.image_store import Album
    from gradcam_cli.report.writer import Recorder

    began = {
        "command": _name(ctx),
        "line": _line(ctx),
        "again": list(words_given(ctx, again)),
        "inputs": inputs,
        "bounds": list(bounds),
    }
    album = Album(directory, options.get("cmap", "jet"), options.get("alpha", 0.5))
    return Recorder(directory, began, album, resume=bool(options.get("skip_existing")))


def _name(ctx: click.Context) -> str:
    return ctx.command_path.removeprefix("gradcam ")


def _line(ctx: click.Context) -> str:
    """Return the command as it could be typed; of many inputs the first few."""
    inputs = [str(path) for path in ctx.params.get("inputs", ())]
    listed = [*inputs[:MOST_INPUTS], *(["..."] if len(inputs) > MOST_INPUTS else [])]
    arguments = [str(ctx.params[name]) for name in ("baseline", "new") if name in ctx.params]
    name = [] if _name(ctx) == "explain" else _name(ctx).split()
    return shlex.join(["gradcam", *name, *listed, *arguments, *words_given(ctx)])


def words_given(ctx: click.Context, names: Collection[str] | None = None) -> Iterator[str]:
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
            yield from (flag, _typed(one))


def _typed(value: Any) -> str:
    """Return a value as it is typed: sizes `HxW`, limits `metric=value`, lists with commas."""
    if isinstance(value, tuple):
        return ("=" if isinstance(value[0], str) else "x").join(
            f"{part:g}" if isinstance(part, float) else str(part) for part in value
        )
    return ",".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)
