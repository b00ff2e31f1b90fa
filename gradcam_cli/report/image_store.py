"""The pictures of a report as files, named after what they show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gradcam_cli.images.fit import Box
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.report.run_records import FOLDER
from gradcam_cli.report.thumbnails import map_picture, photo_format, photo_picture, thumb_picture
from gradcam_cli.storage.files import write
from gradcam_cli.storage.paths import relative


@dataclass(frozen=True)
class Album:
    """Where a report's pictures go; may be used by several threads and processes.

    Attributes:
        directory: of the report.
        cmap: name of the colour map.
        alpha: how strongly a map covers its photo in the gallery, 0..1.
    """

    directory: Path
    cmap: str = "jet"
    alpha: float = 0.5

    def draw(self, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
        """Write the pictures of a photo and its maps; return for each map where they are, seen from the report."""
        first = explanations[0]
        seen = self.draw_photo(first.source, _which(first), first.photo, first.map, first.view)
        return [{**seen, "picture": self.draw_map(one.source, _which(one), one.map, one.view)} for one in explanations]

    def draw_photo(
        self, source: str, which: str, photo: np.ndarray | None, map_: np.ndarray, view: Box
    ) -> dict[str, Any]:
        """Write a photo, and a small one under its map.

        Args:
            source: name of the photo.
            which: tells the maps of a photo apart.
            photo: (H, W, 3) uint8, or None where it is lost.
            map_: (H, W) in 0..1.
            view: the part of the photo that the network saw.
        """
        height, width = map_.shape
        if photo is None:
            return {"size": [width, height]}
        small = thumb_picture(photo, map_, view, self.cmap, self.alpha)
        return {
            "size": [width, height],
            "photo": self._keep(source, f"photo.{photo_format(photo)}", photo_picture(photo)),
            "thumb": self._keep(f"{source}\0{which}", "thumb.jpg", small),
        }

    def draw_map(self, source: str, which: str, map_: np.ndarray, view: Box) -> str:
        """Write a map as it is laid over its photo, and return its place; the arguments are those of `draw_photo`."""
        return self._keep(f"{source}\0{which}", "map.png", map_picture(map_, view, self.cmap))

    def _keep(self, what: str, ending: str, data: bytes) -> str:
        digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{FOLDER}/{digest}_gradcam_{ending}"
        write(self.directory / name, data)
        return name

    def files(self, written: dict[str, str]) -> dict[str, str]:
        """Return the paths of files, by kind, as they are seen from the report."""
        return {kind: relative(path, self.directory) for kind, path in written.items()}


def _which(one: Explanation) -> str:
    return "|".join([one.layer, *one.requested, str(one.prediction.index)])
