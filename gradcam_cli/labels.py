"""Class names, and the classes that a person asks for by number, by name or by rank."""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from gradcam_cli.applications import Application
from gradcam_cli.errors import UsageError


class Labels(NamedTuple):
    """The names of a model's classes, in the order of its outputs.

    Attributes:
        names: one a class.
        ids: WordNet ids such as `n02123045`, or () where there are none.
    """

    names: tuple[str, ...]
    ids: tuple[str, ...] = ()

    def name(self, index: int) -> str | None:
        """Return the name of a class, or None for a class without one."""
        return self.names[index] if index < len(self.names) else None

    def id(self, index: int) -> str | None:
        """Return the WordNet id of a class, or None."""
        return self.ids[index] if index < len(self.ids) else None


CIFAR10 = Labels(tuple("airplane automobile bird cat deer dog frog horse ship truck".split()))


class Requested(NamedTuple):
    """A class that was asked for.

    Attributes:
        text: as asked, each rank of `topN` by itself: `top2`, `tabby`, `281`.
        code: the class index, or -r for the class of rank r in the prediction.
    """

    text: str
    code: int


@functools.cache
def imagenet_labels() -> Labels:
    """Return the 1,000 ImageNet classes in the order of `keras.applications`."""
    text = resources.files("gradcam_cli").joinpath("data/imagenet_classes.txt").read_text("utf-8")
    pairs = [line.split(" ", 1) for line in text.splitlines()]
    return Labels(tuple(name for _, name in pairs), tuple(wordnet for wordnet, _ in pairs))


def labels_of(application: Application) -> Labels:
    """Return the classes that a model known by name tells apart."""
    return CIFAR10 if application.built_in else imagenet_labels()


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Read class names from a text file (one a line), a JSON list, or a Keras class index.

    A Keras class index is a JSON object of `{"0": ["n01440764", "tench"], ...}` or `{"0": "tench"}`.

    Raises:
        UsageError: the file cannot be read or has another form.
    """
    try:
        text = Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"labels {path}: cannot be read: {error}") from error
    if not text.lstrip().startswith(("[", "{")):
        return Labels(tuple(line.strip() for line in text.splitlines() if line.strip()))
    try:
        entries = json.loads(text)
        if isinstance(entries, dict):
            entries = [entries[str(index)] for index in range(len(entries))]
        if all(isinstance(entry, list) for entry in entries):
            ids, names = zip(*entries, strict=True)
            return Labels(_strings(names), _strings(ids))
        return Labels(_strings(entries))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"labels {path}: expected one name a line, a JSON list of names, or a Keras class index, got {error!r}"
        ) from error


def _strings(entries: Sequence[object]) -> tuple[str, ...]:
    if not all(isinstance(entry, str) for entry in entries):
        raise TypeError("names that are not text")
    return tuple(str(entry) for entry in entries)


def split_ranks(requests: Sequence[str | int]) -> list[str]:
    """Write `topN` out as `top1` ... `topN` and drop what was asked for twice, keeping the order."""
    texts: list[str] = []
    for request in requests:
        rank = re.fullmatch(r"top(\d*)", str(request))
        last = int(rank[1] or 1) if rank else 0
        texts += [f"top{r}" for r in range(1, last + 1)] or [str(request)]
    return list(dict.fromkeys(texts))


def resolve_classes(requests: Sequence[str | int], labels: Labels, count: int) -> list[Requested]:
    """Turn requests into classes: an index, a name (exact, then a unique part), `top` or `topN`.

    Args:
        requests: as the person wrote them.
        labels: the model's class names.
        count: how many classes the model has.

    Raises:
        UsageError: no class, or more than one, is meant; near matches are listed.
    """
    resolved: dict[int, Requested] = {}
    for text in split_ranks(requests):
        rank = re.fullmatch(r"top(\d+)", text)
        code = -int(rank[1]) if rank else _find(text, labels, count)
        if not -count <= code < count or (rank and code == 0):
            expected = f"top1 to top{count}" if rank else f"an index from 0 to {count - 1}"
            raise UsageError(f"class {text}: expected {expected}, got {text}")
        resolved.setdefault(code, Requested(text, code))
    return list(resolved.values())


def plain(name: str) -> str:
    """Return a name without case, and with single spaces for spaces, underscores and hyphens."""
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def _find(text: str, labels: Labels, count: int) -> int:
    if re.fullmatch(r"\d+", text):
        return int(text.lstrip("0")[:9] or "0")  # no model has as many classes as nine digits count
    if text in labels.ids:
        return labels.ids.index(text)
    names = [plain(name) for name in labels.names[:count]]
    wanted = plain(text)
    found = [index for index, name in enumerate(names) if name == wanted]
    found = found or [index for index, name in enumerate(names) if wanted and wanted in name]
    if len(found) == 1:
        return found[0]
    if not names:
        raise UsageError(f"class {text!r}: the model has no class names", "give --labels FILE, or a class index")
    near = found or [names.index(name) for name in difflib.get_close_matches(wanted, names, 5)]
    listed = ", ".join(f"{index} {labels.names[index]}" for index in near[:10])
    raise UsageError(
        f"class {text!r}: expected one class, got {len(found) or 'none'}",
        f"near matches: {listed}" if listed else "give a class index, a name, top or topN",
    )
