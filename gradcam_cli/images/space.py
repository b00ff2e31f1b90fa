"""What an input is, and where its values lie in the world: a signal in time, a volume in a body, a film."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

RANKS = {"signal": 1, "image": 2, "volume": 3, "film": 3}
"""Kinds of inputs, with the number of their spatial axes. The time of a signal or of a film counts as one."""


@dataclass(frozen=True)
class Space:
    """The kind of an input, and the places of its values.

    Attributes:
        kind: a key of `RANKS`.
        spacing: the distance of two values along each spatial axis, in the order of the array's axes: seconds along a
            time, millimeters in a volume, 0 where it is unknown; or empty if all are.
        nifti_header: the header of a NIfTI file of the same space, with its affine, or None.
        stored_axes: for each spatial axis of the array, the axis of the file that it was; empty if they are the same.
    """

    kind: str = "image"
    spacing: tuple[float, ...] = ()
    nifti_header: bytes | None = None
    stored_axes: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return RANKS[self.kind]

    def metadata(self) -> dict[str, Any]:
        """Return the kind and the spacing as JSON has them; nothing for an image."""
        if self == IMAGE:
            return {}
        return {"kind": self.kind, **({"spacing": list(self.spacing)} if self.spacing else {})}


IMAGE = Space()
"""The space of all images."""
