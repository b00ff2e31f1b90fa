"""Extensions of click: options under headings in the help, and parameter types.

cloup offers option groups, too, but importing it takes 50 ms, and its help differs from click's in width.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from gradcam_cli.cli.hinted_parameters import HintedParameter
from gradcam_cli.cli.option_defaults import check_keys, defaults_for, find_table, variable
from gradcam_cli.cli.protection import check_named_outputs, command_protection
from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.thresholds import MetricLimit, require_limit
from gradcam_cli.models.catalog import catalog, is_model_path
from gradcam_cli.models.preprocessing import preprocess_choices, resolve_preprocess
from gradcam_cli.storage.paths import as_path, is_url

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

EXAMPLES = "Examples:"
"""First line of the paragraph of an epilog that the help shows before the options."""
LAST_HEADING = "General"
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"]}
"""Settings of every command and group."""


class GroupedOption(HintedParameter, click.Option):
    """An option that the help lists under a heading, without the range of its values."""

    def __init__(self, *args: Any, heading: str = "Options", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading
        self.envvar = self.envvar or variable(self)

    def get_help_extra(self, ctx: click.Context) -> click.types.OptionHelpExtra:
        """Remove the range."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)
        return extra


class GroupedCommand(click.Command):
    """A command whose help has examples first, lists options under headings, and prints the epilog verbatim."""

    def __init__(self, name: str | None = None, **attributes: Any) -> None:
        super().__init__(name, **{"context_settings": CONTEXT_SETTINGS, **attributes})

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Create the context, with the values of pyproject.toml in the place of the defaults."""
        project = find_table()
        if project and parent:
            check_keys(project, parent.find_root().command.commands)  # type: ignore[attr-defined]  # a group
        values = defaults_for(self, [*command_names(parent), info_name or ""], project)
        return super().make_context(info_name, args, parent, **{"default_map": values, **extra})

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; its inputs are protected from its outputs."""
        with command_protection(ctx):
            check_named_outputs(ctx)
            return super().invoke(ctx)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, with the examples of the epilog before the options."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        self.format_examples(formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def format_examples(self, formatter: click.HelpFormatter) -> None:
        """Write the examples of the epilog verbatim."""
        for paragraph in self._paragraphs(examples=True):
            formatter.write(f"\n{paragraph}\n")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options under their headings."""
        for heading, rows in self.option_rows(ctx).items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def option_rows(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return (option, help) by heading, in order of appearance; the general options come last."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx)):
                headings.setdefault(getattr(parameter, "heading", LAST_HEADING), []).append(row)
        headings[LAST_HEADING] = headings.pop(LAST_HEADING)
        return headings

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the epilog without its examples verbatim."""
        for paragraph in self._paragraphs(examples=False):
            formatter.write(f"\n{paragraph}\n")

    def _paragraphs(self, *, examples: bool) -> list[str]:
        paragraphs = (self.epilog or "").strip("\n").split("\n\n")
        return [text.strip("\n") for text in paragraphs if text and text.startswith(EXAMPLES) == examples]


def command_names(ctx: click.Context | None) -> list[str]:
    """Return the names of a context and of those above it, without that of the program."""
    return [*command_names(ctx.parent), ctx.info_name or ""] if ctx and ctx.parent else []


def option_group(heading: str) -> Callable[..., Decorator]:
    """Return a variant of `click.option` for options under one heading."""

    def option(*declarations: str, **attributes: Any) -> Decorator:
        return click.option(*declarations, cls=GroupedOption, heading=heading, **attributes)

    return option


class PathOrUrl(click.Path):
    """A path or a URL; only paths are checked for existence."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return a path."""
        return as_path(str(value)) if is_url(value) else super().convert(value, param, ctx)


class ModelNameOrFile(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """The name of a catalog model, or the path of a model file."""

    name = "name|file"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Start the check of a model file, which runs while TensorFlow is imported."""
        from gradcam_cli.models.safety import start_check

        if is_model_path(value) and not (ctx and ctx.resilient_parsing):
            start_check(Path(value))
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete model names and files."""
        names = [CompletionItem(name) for name in catalog() if name.startswith(incomplete)]
        return [*names, CompletionItem(incomplete, type="file")]


class PreprocessName(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """The name of a preprocessing, or an own one."""

    name = "name"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check the value."""
        resolve_preprocess(value)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete names."""
        return [CompletionItem(name) for name in preprocess_choices() if name.startswith(incomplete)]


class ImageSize(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """An image size in pixels: `224`, or `HEIGHTxWIDTH`."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Return (h, w)."""
        sizes = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", str(value))
        if not sizes:
            raise UsageError(f"--input-size {value}: expected a size such as 224 or 480x640")
        return int(sizes[1]), int(sizes[2] or sizes[1])


class InputSize(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """The size of a model's input: `224` or `HEIGHTxWIDTH` of images, `T` of signals, `DxHxW` of volumes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """Return the numbers; a single one is also the side of a square image."""
        if not re.fullmatch(r"[1-9]\d{0,8}(x[1-9]\d{0,8}){0,2}", str(value)):
            raise UsageError(f"--input-size {value}: expected a size such as 224, 480x640 or 16x64x64")
        return tuple(map(int, str(value).split("x")))


class Threshold(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A metric and its limit, such as `ssim=0.1` for the mean or `ssim=0.3@q95` for a quantile over the images."""

    name = "metric=value[@quantile]"

    def __init__(self, metrics: Collection[str]) -> None:
        self.metrics = metrics

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> MetricLimit:
        """Return the metric and its limit."""
        return require_limit(param.opts[0] if param else "threshold", str(value), self.metrics)


def combine_options(*options: Decorator) -> Decorator:
    """Combine options into one decorator; the help lists them in this order."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate
