"""The inputs and the named outputs of a command line: no output may be an input, or another output."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import click

from gradcam_cli.errors import UsageError, WeightsError
from gradcam_cli.images.source import SUFFIXES
from gradcam_cli.models.weights import cache_directory
from gradcam_cli.network.target import parse_target
from gradcam_cli.neuralode.training.config import DATASET_NAMES
from gradcam_cli.storage.paths import canonical, is_url
from gradcam_cli.storage.protected import ProtectedInputs, current_inputs, is_input, protected_inputs
from gradcam_cli.storage.targets import is_special, resolve_target

INPUTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(["inputs", "images", "files_from", "model", "labels", "class_map", "directory", "from_jsonl"], ()),
    "other_inputs": (),
    "truth": (),
    **dict.fromkeys(["baseline", "new"], (".npz",)),
    "annotations": (".xml",),
    "data": tuple(SUFFIXES),
    "weights": (".h5",),
}
"""Parameters that name inputs, with the suffixes of the files that are read if the value is a directory.

Directories of images are listed by the commands, which protect the images that they find.
"""
OUTPUTS = ("output", "csv", "summary_csv", "junit_xml", "grid", "confusion", "csv_log", "animation", "save_model")
"""Parameters that name an output file; `output` may also be a directory."""
OUTPUT_DIRECTORIES = ("plots", "export_samples", "tensorboard")
"""Parameters that name a directory of outputs."""


def command_protection(ctx: click.Context) -> AbstractContextManager[ProtectedInputs]:
    """Return a context manager that protects the inputs on a command line from the outputs of the command."""
    inputs = ProtectedInputs()
    for name, suffixes in INPUTS.items():
        for path in _values(ctx.params.get(name)):
            if name == "data" and path in DATASET_NAMES:
                continue
            inputs.add(path)
            if suffixes and not is_url(path) and os.path.isdir(path):
                inputs.add_directory(path, suffixes)
    inputs.add(*parse_target(ctx.params.get("target") or "class").files)
    if weights := os.environ.get("GRADCAM_WEIGHTS"):
        inputs.add(weights)
        inputs.add_directory(weights, INPUTS["weights"])
    with suppress(WeightsError):  # no home directory
        inputs.add_directory(cache_directory(), INPUTS["weights"])
    return protected_inputs(inputs)


def check_named_outputs(ctx: click.Context) -> None:
    """Check the output files that the command line names, before any work.

    Raises:
        UsageError: an output is an input, or the same file as another output.
    """
    used: dict[str, str] = {}
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "") if option.name in OUTPUTS else None
        if not value or str(value) == "-" or is_special(value):
            continue
        check_output(option.opts[0], value)
        target = canonical(value)
        if target in used:
            raise UsageError(f"{used[target]} and {option.opts[0]} name the same file: {value}")
        used[target] = option.opts[0]


def check_output(option: str, path: str | os.PathLike[str]) -> None:
    """Check an output file that an option names, or whose name follows from one.

    Raises:
        UsageError: it is an input.
    """
    if is_input(resolve_target(path)):
        raise UsageError(f"{option} {path} is an input: it would be overwritten", "choose another output")


def protect_found(ctx: click.Context, names: Iterable[str]) -> None:
    """Protect the inputs that a command has found, and check the named outputs against them.

    Raises:
        UsageError: a named output is one of the inputs.
    """
    current_inputs().add(*names)
    check_named_outputs(ctx)


def _values(value: Any) -> Iterator[Any]:
    """Yield the paths in the value of a parameter."""
    for path in value if isinstance(value, tuple | list) else (value,):
        if path and isinstance(path, str | os.PathLike):
            yield path
