"""Class names: ImageNet, CIFAR-10, and label files."""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models.catalog import ModelSpec, is_model_path
from gradcam_cli.near_matches import near_file
from gradcam_cli.storage.regular_files import read_regular

if TYPE_CHECKING:
    import keras

    from gradcam_cli.models.backbone import Backbone


class Labels(NamedTuple):
    """The names of a model's classes, in the order of its outputs.

    Attributes:
        names: one name per class, or () if unknown.
        ids: WordNet ids such as `n02123045`, or () without ids.
        source: where they come from.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...] = ()
    source: str = ""

    def name(self, index: int) -> str | None:
        """Return the name of a class, or None if it has none."""
        return self.names[index] if index < len(self.names) else None

    def id(self, index: int) -> str | None:
        """Return the WordNet id of a class, or None if it has none."""
        return self.ids[index] if index < len(self.ids) else None

    def require_count(self, count: int) -> None:
        """Check that each class has a name, if there are names.

        Raises:
            UsageError: the number of names differs.
        """
        if self.names and len(self.names) != count:
            source = f"labels {self.source}" if self.source else "labels"
            raise UsageError(f"{source}: expected {count} names, got {len(self.names)}")


MAX_NAME_LENGTH, MAX_NAMES, MAX_LABELS_BYTES = 1_000, 1_000_000, 1 << 27
"""Limits of class names: characters of a name, number of names, size of a label file."""
CIFAR10 = Labels(tuple("airplane automobile bird cat deer dog frog horse ship truck".split()), source="CIFAR-10")


@functools.cache
def imagenet_labels() -> Labels:
    """Return the 1,000 ImageNet classes in the order of `keras.applications`."""
    text = resources.files("gradcam_cli.models").joinpath("data/imagenet_classes.txt").read_text("utf-8")
    pairs = [line.split(" ", 1) for line in text.splitlines()]
    return Labels(tuple(name for _, name in pairs), tuple(wordnet for wordnet, _ in pairs), "ImageNet")


def spec_labels(spec: ModelSpec) -> Labels:
    """Return the class names of a catalog model."""
    return CIFAR10 if spec.dataset == CIFAR10.source else imagenet_labels()


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Read class names from a text file (one per line), a JSON list, a Keras class index, or Keras's `class_indices`.

    A Keras class index is a JSON object of `{"0": ["n01440764", "tench"], ...}` or `{"0": "tench"}`; `class_indices` is
    `{"tench": 0, ...}`.

    Raises:
        UsageError: the file cannot be read, has another format, or too many or too long names.
    """
    try:
        text = read_regular(path, MAX_LABELS_BYTES, allow_pipe=True).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = near_file(path) if isinstance(error, FileNotFoundError) else None
        raise UsageError(f"labels {path} cannot be read: {reason}", hint) from error
    labels = _parse_labels(path, text)
    if problem := name_problem([*labels.names, *labels.ids]):
        raise UsageError(f"labels {path}: {problem}")
    return labels


def labels_file(given: str | os.PathLike[str] | None, model: object) -> str | os.PathLike[str] | None:
    """Return the file of class names that is given, or `net.labels.txt` beside a model file `net.keras`, or None."""
    if given is None and isinstance(model, (str, os.PathLike)) and is_model_path(os.fspath(model)):
        path = Path(model).with_suffix(".labels.txt")
        return path if path.is_file() else None
    return given


def find_labels(given: str | os.PathLike[str] | Sequence[str] | None, model: object) -> Labels | None:
    """Return the class names that are given, those of a file beside the model (`labels_file`), or None.

    Args:
        given: a file, or the names in the order of the model's outputs.
        model: the model, or its file.

    Raises:
        UsageError: the file cannot be read, or a name is no text.
    """
    if given is not None and not isinstance(given, (str, os.PathLike)):
        if isinstance(given, Mapping) or not isinstance(given, Iterable):
            raise UsageError(f"labels: expected a file or a list of names, got {type(given).__name__}")
        names = tuple(given)
        if problem := name_problem(names):
            raise UsageError(f"labels: {problem}")
        return Labels(names, source="labels")
    file = labels_file(given, model)
    return None if file is None else read_labels(file)._replace(source=Path(file).name)


def name_problem(names: Sequence[object]) -> str | None:
    """Return why values are no class names: too many, not text, or too long; otherwise None."""
    if len(names) > MAX_NAMES:
        return f"expected at most {MAX_NAMES:,} class names, got {len(names):,}"
    for index, name in enumerate(names):
        if not isinstance(name, str):
            return f"expected class names, got {type(name).__name__} (class {index})"
        if len(name) > MAX_NAME_LENGTH:
            return f"expected class names of at most {MAX_NAME_LENGTH:,} characters, got {len(name):,} (class {index})"
    return None


def _parse_labels(path: str | os.PathLike[str], text: str) -> Labels:
    if not text.lstrip().startswith(("[", "{")):
        return Labels(tuple(line.strip() for line in text.splitlines() if line.strip()))
    try:
        entries = json.loads(text)
        if isinstance(entries, dict):
            if entries and all(type(value) is int for value in entries.values()):
                entries = _inverted(entries)
            entries = [entries[str(index)] for index in range(len(entries))]
        if all(isinstance(entry, list) for entry in entries):
            ids, names = zip(*entries, strict=True)
            return Labels(_require_strings(names), _require_strings(ids))
        return Labels(_require_strings(entries))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"labels {path}: expected one name per line, a JSON list of names, a Keras class index or class_indices, "
            f"got {error!r}"
        ) from error


def _inverted(indices: dict[str, int]) -> dict[str, str]:
    names = {str(index): name for name, index in indices.items()}
    if len(names) < len(indices):
        raise ValueError("two names of one index")
    return names


def _require_strings(entries: Sequence[object]) -> tuple[str, ...]:
    if not all(isinstance(entry, str) for entry in entries):
        raise TypeError("a name is not a string")
    return tuple(str(entry) for entry in entries)


def normalize_name(name: str) -> str:
    """Return a name case-folded, with runs of spaces, underscores and hyphens replaced by one space."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def infer_labels(model: keras.Model, backbone: Backbone | None) -> Labels:
    """Return the names stored in the last layer, or those of the backbone if the number of classes is equal.

    Raises:
        ModelError: the stored names are unusable.
    """
    if names := getattr(next(iter(reversed(getattr(model, "layers", []))), None), "labels", ()):
        if problem := name_problem(names):
            raise ModelError(f"the model's class names: {problem}", "give other names with --labels FILE")
        return Labels(tuple(names), source="the model")
    outputs = getattr(model, "outputs", None)
    if backbone and not backbone.guess and outputs:
        labels = spec_labels(backbone.spec)
        if outputs[0].shape[-1] == len(labels.names):
            return labels
    return Labels(())
