"""Options that are typed once: `[tool.gradcam]` in pyproject.toml, and environment variables `GRADCAM_*`.

The command line has precedence, then come the variables, the file, and the defaults. All of them are click's own
mechanisms: `envvar` and `default_map`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from gradcam_cli.cli.protection import INPUTS, OUTPUT_DIRECTORIES, OUTPUTS
from gradcam_cli.errors import UsageError
from gradcam_cli.near_matches import did_you_mean
from gradcam_cli.storage.paths import is_url
from gradcam_cli.storage.regular_files import read_regular

FILE, TABLE = "pyproject.toml", "tool.gradcam"
MAX_BYTES = 1 << 20
"""Limit of the file's size."""
ONLY_TYPED = {
    "allow_unsafe": "it runs code that a model file contains, and a directory must not decide that",
    "output": "it would be the file of every run",
    "ray_address": "images and models go there, and a directory must not decide that",
}
"""Options that a file cannot set, by the name of their parameter, and why."""
OTHER_VARIABLES = frozenset({"GRADCAM_WEIGHTS", "GRADCAM_WEIGHTS_MIRROR"})
"""Variables that mean something else than the option of their name."""


def variable(option: click.Option) -> str | None:
    """Return the environment variable of an option: `GRADCAM_LAYER` for `--layer`; None if it has none."""
    flags = [name for name in option.opts if name.startswith("--")]
    name = "GRADCAM_" + flags[0].removeprefix("--").replace("-", "_").upper() if flags else None
    eager = option.is_eager or option.name in ("help", "version")
    return None if eager or name in OTHER_VARIABLES else name


class ProjectTable(NamedTuple):
    """The table `[tool.gradcam]`, and the file that contains it."""

    file: Path
    values: Mapping[str, Any]


def find_table() -> ProjectTable | None:
    """Return the table of the nearest pyproject.toml, in the working directory or above it, or None if it has none.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        here = Path.cwd()
    except OSError:  # the working directory was deleted
        return None
    file = next((path for directory in (here, *here.parents) if (path := directory / FILE).is_file()), None)
    values = _read(file) if file else None
    return ProjectTable(file, values) if file and values else None


def defaults_for(command: click.Command, path: Sequence[str], project: ProjectTable | None) -> dict[str, Any]:
    """Return the values of a command's options in the file, by the name of their parameter.

    Args:
        command: the command.
        path: its name, for example `neuralode`, `train`; its own table is below that of all commands.
        project: the table of the file.

    Raises:
        UsageError: the file has a value of another type, or an option that it cannot set.
    """
    if project is None:
        return {}
    options = {key_of(option): option for option in command.params if isinstance(option, click.Option)}
    values: dict[str, Any] = {}
    table: Any = project.values
    for name in ("", *path):
        table = table.get(name, {}) if name else table
        values |= {key: value for key, value in table.items() if key in options and not isinstance(value, dict)}
    return {str(options[key].name): _value(project.file, options[key], key, value) for key, value in values.items()}


def check_keys(project: ProjectTable, commands: Mapping[str, click.Command]) -> None:
    """Check that each key of the file is an option, and each table that of a command with these options.

    Raises:
        UsageError: it is neither.
    """
    _check_table(project.file, project.values, commands, {key for each in commands.values() for key in _keys(each)})


def _check_table(file: Path, table: Mapping[str, Any], commands: Mapping[str, click.Command], keys: set[str]) -> None:
    for key, value in table.items():
        if not isinstance(value, dict) and key not in keys:
            raise _unknown(file, key, sorted(keys))
        if isinstance(value, dict):
            if key not in commands:
                raise _unknown(file, key, sorted(commands))
            command = commands[key]
            _check_table(file, value, getattr(command, "commands", {}), _keys(command))


def _keys(command: click.Command) -> set[str]:
    """Return the keys of the options of a command, or of all commands of a group."""
    if isinstance(command, click.Group):
        return {key for each in command.commands.values() for key in _keys(each)}
    return {key_of(option) for option in command.params if isinstance(option, click.Option)}


def _unknown(file: Path, key: str, known: Sequence[str]) -> UsageError:
    hint = did_you_mean(key, known) or "keys are the names of options without --, for example layer"
    return UsageError(f"{file}: [{TABLE}]: unknown option {key}", hint)


def _read(file: Path) -> Mapping[str, Any] | None:
    """Return the table of the file, or None if it has none."""
    try:
        text = read_regular(file, MAX_BYTES).decode("utf-8")
        table: Any = tomllib.loads(text)
        for name in TABLE.split("."):
            table = table.get(name, {}) if isinstance(table, dict) else {}
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise UsageError(f"{file} is not valid TOML: {error}") from error
    if not isinstance(table, dict):
        raise UsageError(f"{file}: expected a table [{TABLE}], got {table!r}")
    return table or None


def key_of(option: click.Parameter) -> str:
    """Return the key of an option: its long name; an empty text for an argument, and for what is no setting."""
    names = [name for name in option.opts if name.startswith("--")]
    return names[0].removeprefix("--") if names and option.name not in ("help", "version") else ""


def _value(file: Path, option: click.Option, key: str, value: Any) -> Any:
    """Return a value as click reads it; relative paths are those of the file's directory."""
    if option.name in ONLY_TYPED:
        raise UsageError(f"{file}: [{TABLE}]: {key} cannot be set in a file: {ONLY_TYPED[option.name]}")
    values = value if isinstance(value, list) else [value]
    kinds = (bool,) if option.is_flag else (str, int, float)
    wrong = [each for each in values if not isinstance(each, kinds) or (isinstance(each, bool) and not option.is_flag)]
    if wrong or (isinstance(value, list) and not option.multiple):
        expected = "true or false" if option.is_flag else "a text or a number"
        listed = f"{expected}, or a list of them" if option.multiple else expected
        raise UsageError(f"{file}: [{TABLE}]: {key}: expected {listed}, got {value!r}")
    if option.is_flag:
        return value
    texts = [_resolved(file.parent, option, str(each)) for each in values]
    return texts if option.multiple else texts[0]


def _resolved(directory: Path, option: click.Option, text: str) -> str:
    """Return a relative path below a directory.

    Where a name is possible, as of a model, a plain word is one, and another text is a path if there is such a file.
    """
    path, is_path = directory / text, isinstance(option.type, click.Path)
    may_be_path = is_path or (not re.fullmatch(r"[\w-]+", text) and path.exists())
    is_file = option.name in (*INPUTS, *OUTPUTS, *OUTPUT_DIRECTORIES) and may_be_path
    return str(path) if is_file and not is_url(text) and not os.path.isabs(text) else text
