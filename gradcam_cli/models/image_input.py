"""Which input of a model with several inputs is the image, or the signal, volume or film."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

SPATIAL_AXES = (2, 3, 1)
"""Numbers of spatial axes, in the order in which inputs are chosen."""


def find_image_input(shapes: Mapping[str, Sequence[Any]]) -> str | None:
    """Return the name of the image among the inputs of a model, or None if it is not clear.

    It is the only image; of several, the only one with 1 or 3 channels. Without an image it is the volume or the film,
    and without these the signal.

    Args:
        shapes: the shapes of the inputs, with the batch, by their names.
    """
    for rank in SPATIAL_AXES:
        names = [name for name, shape in shapes.items() if len(shape) == rank + 2]
        if len(names) > 1:
            names = [name for name in names if shapes[name][-1] in (1, 3)]
        if names:
            return names[0] if len(names) == 1 else None
    return None
