"""What the commands share: options, grouped in the help, and the start of TensorFlow."""

from __future__ import annotations

import contextlib
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from gradcam_cli.applications import applications
from gradcam_cli.errors import UsageError
from gradcam_cli.messages import log, show_messages, without_native_noise
from gradcam_cli.preprocessing import preprocessing_names

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


LAST_HEADING = "Messages"


class GroupedOption(click.Option):
    """An option that is listed under a heading in the help; what its text says of ranges is enough."""

    def __init__(self, *args: Any, heading: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Leave the range out."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class GroupedCommand(click.Command):
    """A command whose help lists its options under headings, and keeps its epilog as it is written."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options under their headings, in order of appearance."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx)):
                headings.setdefault(getattr(parameter, "heading", LAST_HEADING), []).append(row)
        headings[LAST_HEADING] = headings.pop(LAST_HEADING)
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog line by line."""
        if self.epilog:
            formatter.write("\n" + self.epilog.strip("\n") + "\n")


def under(heading: str) -> Callable[..., Decorator]:
    """Return `click.option` for options of one heading."""

    def option(*declarations: str, **attributes: Any) -> Decorator:
        return click.option(*declarations, cls=GroupedOption, heading=heading, **attributes)

    return option


class ModelType(click.ParamType):
    """The name of an application or the path of a model file."""

    name = "name|file"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete names; where none fits, files."""
        found = [CompletionItem(name) for name in applications() if name.startswith(incomplete)]
        return found or [CompletionItem(incomplete, type="file")]


class PreprocessType(click.ParamType):
    """The name of a preprocessing."""

    name = "name"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete names."""
        return [CompletionItem(name) for name in preprocessing_names() if name.startswith(incomplete)]


class SizeType(click.ParamType):
    """A size in pixels: `224`, or `HEIGHTxWIDTH`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (h, w)."""
        sizes = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", str(value))
        if not sizes:
            raise UsageError(f"--input-size {value}: expected a size such as 224 or 480x640")
        return int(sizes[1]), int(sizes[2] or sizes[1])


def together(*options: Decorator) -> Decorator:
    """Make one decorator of several options, listed in their order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_model = under("Model")
allow_unsafe_option = _model(
    "--allow-unsafe-model", is_flag=True, help="Run the code that a model file carries (Lambda layers)."
)
input_size_option = _model(
    "--input-size", type=SizeType(), help="Input of a model that leaves it open: 224, or HEIGHTxWIDTH."
)
model_options = together(
    _model(
        "-m",
        "--model",
        type=ModelType(),
        default="vgg19",
        show_default=True,
        help="mini (built in), an application of Keras, or a .keras or .h5 file.",
    ),
    _model(
        "--weights",
        metavar="imagenet|FILE",
        default="imagenet",
        show_default=True,
        help="A weight file; imagenet looks in $GRADCAM_WEIGHTS and Keras's cache, then fetches.",
    ),
    _model(
        "--labels",
        metavar="FILE",
        type=click.Path(),
        help="Class names: one a line, a JSON list, or a Keras class index.",
    ),
    _model(
        "--preprocess",
        metavar="NAME",
        type=PreprocessType(),
        help="none, 0..1, -1..1, or as an application does; found out by default.",
    ),
    input_size_option,
    allow_unsafe_option,
    _model("--offline", is_flag=True, help="Never use the network."),
)
_message = under(LAST_HEADING)
json_option = _message("--json", "as_json", is_flag=True, help="Write one JSON object a line instead of text.")
message_options = together(
    json_option,
    _message("-q", "--quiet", is_flag=True, help="Write nothing but results and errors."),
    _message("-v", "--verbose", is_flag=True, help="Add layers, timings, versions and TensorFlow's own messages."),
    _message("--debug", is_flag=True, help="Show the traceback of an error."),
    click.version_option(package_name="gradcam-cli", prog_name="gradcam", message="%(prog)s %(version)s"),
)


def start(ctx: click.Context, *, quiet: bool, verbose: bool, debug: bool) -> None:
    """Set up messages as the options say."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose: expected one of them, got both")
    ctx.with_resource(restored_messages())
    ctx.with_resource(warnings.catch_warnings())
    if not (verbose or debug):
        warnings.simplefilter(
            "ignore"
        )  # remarks of Pillow on metadata, of matplotlib on glyphs, of Keras on its own past
    show_messages(quiet=quiet, verbose=verbose or debug)


@contextlib.contextmanager
def restored_messages() -> Any:
    """Take the command's handler away again at its end."""
    own, level = list(log.handlers), log.level
    try:
        yield
    finally:
        log.handlers[:] = own
        log.setLevel(level)


def start_tensorflow(ctx: click.Context, *, verbose: bool) -> None:
    """Before TensorFlow is imported: keep its messages and Keras's prints away from the results."""
    if not verbose and "tensorflow" not in sys.modules:
        ctx.with_resource(without_native_noise())
    ctx.with_resource(contextlib.redirect_stdout(sys.stderr))
