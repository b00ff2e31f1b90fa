"""The pictures of a report as files: each written once, named after what it shows."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gradcam_cli.places import relative
from gradcam_cli.records import map_numbers, predictions
from gradcam_cli.report.lines import FOLDER
from gradcam_cli.report.pictures import map_picture, photo_format, photo_picture, thumb_picture
from gradcam_cli.results import Explanation, write
from gradcam_cli.views import Box


class Album:
    """Where a report's pictures go; may be used by several threads.

    Args:
        directory: of the report.
        cmap: name of the colour map.
        alpha: how strongly a map covers its photo in the gallery, 0..1.
    """

    def __init__(self, directory: Path, cmap: str = "jet", alpha: float = 0.5) -> None:
        self.directory, self.cmap, self.alpha = directory, cmap, alpha
        self._drawn: set[str] = set()
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Travel to another process, which draws its own pictures."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock(), _drawn=set())

    def draw(self, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
        """Write the pictures of a photo's maps; return for each what its line says of them."""
        return [
            {
                **self.draw_map(one.source, one.photo, one.map, one.view, _which(one)),
                "map": map_numbers(one),
                "top": predictions(one),
            }
            for one in explanations
        ]

    def draw_map(
        self, source: str, photo: np.ndarray | None, map_: np.ndarray, view: Box, which: str
    ) -> dict[str, Any]:
        """Write the pictures of one map, and return their places, seen from the report.

        Args:
            source: name of the photo.
            photo: (H, W, 3) uint8, or None where it is lost.
            map_: (H, W) in 0..1.
            view: the part of the photo that the network saw.
            which: tells the maps of a photo apart.
        """
        height, width = map_.shape
        picture = self._keep(f"{source}\0{which}", "map.png", lambda: map_picture(map_, view, self.cmap))
        drawn: dict[str, Any] = {"size": [width, height], "picture": picture}
        if photo is not None:
            look = (self.cmap, self.alpha)
            drawn["photo"] = self._keep(source, f"photo.{photo_format(photo)}", lambda: photo_picture(photo))
            drawn["thumb"] = self._keep(source, "thumb.jpg", lambda: thumb_picture(photo, map_, view, *look))
        return drawn

    def _keep(self, what: str, ending: str, make: Callable[[], bytes]) -> str:
        digest = hashlib.sha256(what.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{FOLDER}/{digest}_gradcam_{ending}"
        with self._lock:
            known = name in self._drawn
            self._drawn.add(name)
        if not known:
            write(self.directory / name, make())
        return name

    def files(self, written: dict[str, str]) -> dict[str, str]:
        """Return the paths of files, by kind, as they are seen from the report."""
        return {kind: relative(path, self.directory) for kind, path in written.items()}


def _which(one: Explanation) -> str:
    return "|".join([one.layer, *one.requested, str(one.prediction.index)])
