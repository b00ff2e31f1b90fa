"""How pictures of maps are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

from gradcam_cli.errors import UsageError
from gradcam_cli.near_matches import did_you_mean

BLENDS = ("opacity", "constant")
"""How a map is laid over the image: with an opacity that follows its value, or that is the same everywhere."""

BACKGROUNDS = ("photo", "gray")
"""What is under the map: the image, or the image in gray."""

PIXEL_CLIP = 2.0
"""Percentage of the pixels that `clip=None` gives the last color in maps of `methods.registry.PIXEL_METHODS`."""


@dataclass(frozen=True)
class RenderOptions:
    """How overlays, figures, heatmaps and grids are drawn; numbers in files do not depend on it.

    Attributes:
        cmap: name of a matplotlib colormap.
        opacity: opacity of the largest value of the map, 0..1.
        blend: `opacity`: the opacity of a value is proportional to it, so zero leaves the image as it is;
            `constant`: all values have the same opacity.
        background: `photo`, or `gray`: the image in gray.
        contours: levels of contour lines, as fractions of the map's maximum, 0..1 without the ends.
        clip: percentage of the pixels, those of the largest values, that get the last color; None: `PIXEL_CLIP` for
            methods whose maps have a value for each input pixel, and 0 for others.
        dpi: resolution of figures in dots per inch.

    Raises:
        UsageError: a value is out of range.
    """

    cmap: str = "viridis"
    opacity: float = 0.7
    blend: str = "opacity"
    background: str = "photo"
    contours: tuple[float, ...] = ()
    clip: float | None = None
    dpi: int = 150

    def __post_init__(self) -> None:
        object.__setattr__(self, "contours", tuple(self.contours))
        _check_choice("blend", self.blend, BLENDS)
        _check_choice("background", self.background, BACKGROUNDS)
        _check_range("opacity", self.opacity, "from 0 to 1", 0 <= self.opacity <= 1)
        for level in self.contours:
            _check_range("contours", level, "between 0 and 1", 0 < level < 1)
        if self.clip is not None:
            _check_range("clip", self.clip, "from 0 to below 100", 0 <= self.clip < 100)
        _check_range("dpi", self.dpi, "above 0", 0 < self.dpi < math.inf)

    def values(self) -> dict[str, Any]:
        """Return the options by name, as JSON can represent them."""
        values = {name: getattr(self, name) for name in RENDER_OPTIONS}
        return {**values, "contours": list(self.contours)}


RENDER_OPTIONS = tuple(entry.name for entry in fields(RenderOptions))


def render_options(**values: Any) -> RenderOptions:
    """Return the options of the given values, and defaults for the others.

    Raises:
        TypeError: there is no option of a name.
        UsageError: a value is out of range.
    """
    for name in values:
        if name not in RENDER_OPTIONS:
            hint = did_you_mean(name, RENDER_OPTIONS, "{!r}") or f"expected {', '.join(RENDER_OPTIONS)}"
            raise TypeError(f"got an unexpected drawing option {name!r}: {hint}")
    return RenderOptions(**values)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UsageError(f"{name}: expected one of {', '.join(choices)}, got {value!r}")


def _check_range(name: str, value: float, expected: str, is_valid: bool) -> None:
    if not is_valid:
        raise UsageError(f"{name}: expected a number {expected}, got {value!r}")
