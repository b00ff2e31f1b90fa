"""The command that recomputes a map, as text to copy into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from gradcam_cli.console import escape_control_chars
from gradcam_cli.methods.registry import INPUT_LAYER
from gradcam_cli.pipeline.config import DEFAULTS, MAP_SETTINGS, MODEL_OPTIONS
from gradcam_cli.pipeline.json_lines import Record


def rerun_command(record: Record, run_start: Record) -> str | None:
    """Return the command that recomputes a map, or None if its image or its model was not read from a file.

    It consists of the options of the run, and of layer, method and class of the map. Without the options of the run,
    such as in a comparison, those of the record are used.
    """
    run_args = run_start.get("rerun_args") if run_start.get("command") != "compare" else None
    run_args = list(_recorded_args(record)) if run_args is None else run_args
    if not run_args or not _is_file(record):
        return None
    command = ["gradcam", "neuralode", "explain"] if "depths" in record else ["gradcam"]
    return " ".join(map(shell_quote, [*command, _input_argument(record["input"]), *run_args, *_map_args(record)]))


def _is_file(record: Record) -> bool:
    return record["input"] != "-" and (record["input"] != "array" or record.get("sha256") is not None)


def _input_argument(path: str) -> str:
    """Return a path that is no option and no name of a command."""
    return f"./{path}" if path.startswith("-") or not set("./") & set(path) else path


def _recorded_args(record: Record) -> Iterator[str]:
    """Yield the options of the model, and of the settings that differ from their defaults; none if no file has it."""
    model_options = record.get("model_options") or {}
    if "model" not in model_options:
        return
    yield from model_args(model_options)
    for name in MAP_SETTINGS:
        value = record.get(name, DEFAULTS[name])
        yield from _option_args(f"--{name.replace('_', '-')}", None if value == DEFAULTS[name] else value)
    if "depths" in record:
        yield from ("--times", ",".join(str(depth["t"]) for depth in record["depths"]))
        for name in ("solver", "tol"):
            yield from _option_args(f"--{name}", record.get(name))


def model_args(model_options: Record) -> Iterator[str]:
    """Yield the command-line options that load a model, from the `model_options` of a record."""
    for name, option in MODEL_OPTIONS.items():
        yield from _option_args(option, model_options.get(name))


def _option_args(option: str, value: Any) -> tuple[str, ...]:
    if value in (None, False):
        return ()
    if value is True:
        return (option,)
    return option, "x".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _map_args(record: Record) -> Iterator[str]:
    layer, method, index = record.get("layer"), record.get("method"), record.get("class_index")
    if layer and layer != INPUT_LAYER:
        yield from ("--block" if "depths" in record else "--layer", layer)
    if method and method != "gradcam":
        yield from ("--method", method)
    yield from () if index is None else ("--class", str(index))


def shell_quote(word: str) -> str:
    """Quote a word for a shell, on one line and without control characters."""
    if escape_for_display(word) == word:
        return shlex.quote(word)
    parts = (chr(byte) if 32 <= byte < 127 and byte not in b"\\'" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return "$'" + "".join(parts) + "'"


def escape_texts(value: Any) -> Any:
    """Return a JSON value with all its texts and keys as `escape_for_display` returns them."""
    if isinstance(value, str):
        return escape_for_display(value)
    if isinstance(value, Mapping):
        return {escape_for_display(key): escape_texts(item) for key, item in value.items()}
    return [escape_texts(item) for item in value] if isinstance(value, list | tuple) else value


def escape_for_display(text: str) -> str:
    """Escape control characters, direction marks and bytes that are not valid text."""
    return escape_control_chars(text).encode("utf-8", "backslashreplace").decode()
