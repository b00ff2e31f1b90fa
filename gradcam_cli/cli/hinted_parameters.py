"""Options and arguments whose errors name near matches: of choices, and of files that do not exist."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import click

from gradcam_cli.errors import UsageError
from gradcam_cli.near_matches import did_you_mean, near_file, repeat_option


class HintedParameter(click.Parameter):
    """A parameter that refuses a wrong choice, or a missing file, with a hint."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """Convert the value.

        Raises:
            UsageError: a value is not one of the choices, or a file that does not exist.
        """
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter as error:
            for each in _values(value):
                if own := self._error(each, f"{ctx.command_path} --help lists the options"):
                    raise own from error
            raise

    def _error(self, value: str, other_hint: str) -> UsageError | None:
        """Return the error of one value, if it is a wrong choice or a missing file."""
        name = next((name for name in self.opts if name.startswith("--")), self.human_readable_name)
        if isinstance(self.type, click.Choice) and value not in self.type.choices:
            repeat = repeat_option(name, value) if self.multiple else None
            return UsageError(
                f"{name} {value}: expected one of {', '.join(map(str, self.type.choices))}, got {value!r}",
                repeat or did_you_mean(value, self.type.choices) or other_hint,
            )
        if isinstance(self.type, click.Path) and self.type.exists and not os.path.lexists(value):
            return UsageError(f"{name} {value}: no such file or directory", near_file(value) or other_hint)
        return None


class HintedArgument(HintedParameter, click.Argument):
    """An argument of which the errors name near matches."""


def _values(value: Any) -> Iterator[str]:
    for each in value if isinstance(value, tuple | list) else (value,):
        yield os.fspath(each) if isinstance(each, os.PathLike) else str(each)
