"""What is explained: the output, and the kind of its scores. No TensorFlow is needed to name it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradcam_cli.errors import ModelError, UsageError

if TYPE_CHECKING:
    import numpy as np

KINDS = ("class", "segment", "detection", "similarity")
"""The kinds of targets."""
PLACES = {1: ("value", "t"), 2: ("pixel", "h, w"), 3: ("voxel", "d, h, w")}
"""What the scores of a segmentation are for, and the spatial axes of its output, by their number."""
BOX_FORMATS = ("xyxy", "yxyx", "xywh", "center_xywh", "rel_xyxy", "rel_yxyx", "rel_xywh", "rel_center_xywh")
"""How a box is written: corners, or a corner or the center with width and height; in pixels of the model input, or with
`rel_` in 0..1 of it."""
_GRAMMAR = (
    "class, segment, segment:all, segment:X,Y, detection, detection:BOXES or similarity:FILE[,FILE], and for a model "
    "with several outputs @NAME behind the first word; of a signal segment:X, of a volume segment:X,Y,Z; "
    f"BOXES is one of {', '.join(BOX_FORMATS)}"
)


@dataclass(frozen=True, eq=False)
class Target:
    """What is explained.

    Attributes:
        kind: one of `KINDS`.
        head: name or index of the output that is explained; None requires a single output.
        region: of a segmentation: `object`, the pixels where the class wins; `all`; or (x, y), a pixel of the model
            input; (x,) of a signal, (x, y, z) of a volume.
        files: of a similarity: the reference image, and an image to contrast it with, if there is one.
        box_format: of a detection: how the boxes in another output are written, in `BOX_FORMATS`; None without boxes.
        embeddings: their embeddings (d,), or none before the model has computed them.
        groups: of a class: the members of each group of classes; groups are units after the classes.
    """

    kind: str = "class"
    head: str | int | None = None
    region: str | tuple[int, ...] = "object"
    files: tuple[str, ...] = ()
    box_format: str | None = None
    embeddings: tuple[np.ndarray, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()

    def with_embeddings(self, embeddings: tuple[np.ndarray, ...]) -> Target:
        """Return the target with the embeddings of its files."""
        return replace(self, embeddings=embeddings)


CLASS = Target()


def parse_target(text: str) -> Target:
    """Parse a value of `--target`.

    Raises:
        UsageError: it is none.
    """
    match = re.fullmatch(r"(\w+)(?:@([^:]+))?(?::(.+))?", text)
    kind, head, argument = match.groups() if match else ("", None, None)
    if kind == "segment":
        if argument and re.fullmatch(r"\d{1,6}(,\d{1,6}){0,2}", argument):
            return Target(kind, head, tuple(map(int, argument.split(","))))
        if argument in (None, "object", "all"):
            return Target(kind, head, argument or "object")
    elif kind == "similarity" and argument and 1 <= len(argument.split(",")) <= 2:
        return Target(kind, head, files=tuple(argument.split(",")))
    elif kind == "detection" and argument in (None, *BOX_FORMATS):
        return Target(kind, head, box_format=argument)
    elif kind == "class" and argument is None:
        return Target(kind, head)
    raise UsageError(f"target: expected {_GRAMMAR}, got {text!r}")


def select_head(output: Any, head: str | int | None) -> Any:
    """Return one output of a model with several, by its key or index; without either, all of them."""
    return output if head is None else output[head]


def find_head(output: Any, names: list[str], head: str | int) -> str | int | None:
    """Return the key or the index of a named output; None for the only one.

    Args:
        output: the shapes of the outputs, or that of the only one.
        names: the names of the outputs, of a list of them.
        head: a name or an index.

    Raises:
        UsageError: there is no such output.
    """
    if single := isinstance(output, tuple) and not any(isinstance(part, (tuple, list)) for part in output):
        output = [output]
    keys: list[str | int] = list(output) if isinstance(output, dict) else list(range(len(output)))
    named = dict(zip(map(str, keys if isinstance(output, dict) else names), keys, strict=False))
    if str(head) in named:
        return None if single else named[str(head)]
    if str(head).isdecimal() and int(head) < len(keys):
        return None if single else keys[int(head)]
    raise UsageError(f"target: output {head!r} not found", f"the outputs are {', '.join(named) or 'without names'}")


def expected_shape(kind: str, rank: int) -> tuple[int, str]:
    """Return the number of axes of the output that a kind of target explains, and what it is, in words.

    Args:
        kind: one of `KINDS`.
        rank: number of spatial axes of the model input.
    """
    place, axes = PLACES[rank]
    return {
        "class": (2, "a classifier with one output of shape (n, classes)"),
        "segment": (2 + rank, f"class scores of each {place}, (n, {axes}, classes)"),
        "detection": (3, "class scores of each anchor, (n, anchors, classes)"),
        "similarity": (2, "an embedding (n, d)"),
    }[kind]


def require_shape(shape: Any, target: Target, rank: int = 2) -> None:
    """Check that an output has the form of a target.

    Args:
        shape: of the output, with the batch; or the shapes of several outputs.
        target: what is explained.
        rank: number of spatial axes of the model input.

    Raises:
        ModelError: it has another one, or the target is a detection in something other than an image.
    """
    if target.kind == "detection" and rank != 2:
        raise ModelError(f"--target detection requires a model of images, got one with {rank} spatial axes")
    axes, expected = expected_shape(target.kind, rank)
    if isinstance(shape, tuple) and len(shape) == axes and isinstance(shape[-1], int):
        return
    single = isinstance(shape, tuple) and not any(isinstance(part, (tuple, list)) for part in shape)
    hint = f"select one of its outputs: --target {target.kind}@NAME"
    if single:
        hints = {3: "--target detection explains class scores of anchors"} if rank == 2 else {}
        hint = {**hints, rank + 2: f"--target segment explains its {PLACES[rank][0]}s"}.get(len(shape), "")
    raise ModelError(f"expected {expected}, got {shape}", hint or None)
