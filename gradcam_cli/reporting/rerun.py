"""The command that recomputes a map, as text to copy into a shell."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from gradcam_cli.console import escape_control_chars
from gradcam_cli.methods.registry import INPUT_LAYER, layers_named
from gradcam_cli.models.catalog import find_spec
from gradcam_cli.pipeline.config import DEFAULTS, MAP_SETTINGS
from gradcam_cli.pipeline.json_lines import Record


def rerun_command(record: Record, run_start: Record) -> list[str]:
    """Return the arguments of the command that recomputes a map.

    They consist of the options of the run that computed it, and of layer, method and class of the map. The options are
    those of the report's run, or those in the record; without both, the settings in the record are used.
    """
    path = record["input"]
    path = f"./{path}" if path.startswith("-") and path != "-" else path
    run_args = run_start.get("rerun_args") if run_start.get("command") != "compare" else None
    run_args = record.get("rerun_args") if run_args is None else run_args
    run_args = ["--model", _model(record), *settings_as_argv(record)] if run_args is None else run_args
    if "depths" in record:
        return ["gradcam", "neuralode", "explain", path, *run_args]
    layer, method, index = record.get("layer"), record.get("method"), record.get("class_index")
    map_args = [word for path in layers_named(layer or INPUT_LAYER) for word in ("--layer", path)]
    map_args += ["--method", method] if method and method != "gradcam" else []
    group = record.get("requested_class") if record.get("class_members") else None
    map_args += ["--class", str(group or index)] if group or index is not None else []
    return ["gradcam", path, *run_args, *map_args]


def settings_as_argv(record: Record) -> Iterator[str]:
    """Yield the options of the preprocessing, and of the settings that differ from their defaults."""
    if record.get("preprocess"):
        yield from ("--preprocess", record["preprocess"])
    for name in MAP_SETTINGS:
        value = record.get(name, DEFAULTS[name])
        if value not in (None, DEFAULTS[name]):
            for each in value if isinstance(value, list) else [value]:
                yield f"--{name.replace('_', '-')}"
                yield from () if each is True else (str(each),)


def _model(record: Record) -> str:
    """Return the value of `--model`: the name of the model, or of its file."""
    name = str(record.get("model"))
    return name if find_spec(name) else str((record.get("weights") or {}).get("name") or name)


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
