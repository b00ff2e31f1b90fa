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
from gradcam_cli.report.run_records import REPORT_FOLDER
from gradcam_cli.report.thumbnails import encode_map, encode_source_image, encode_thumbnail, source_image_format
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import relative_to


@dataclass(frozen=True)
class ReportImages:
    """Where a report's pictures go; may be used by several threads and processes.

    Attributes:
        directory: of the report.
        cmap: name of the colour map.
        opacity: how strongly a map covers its photo in the gallery, 0..1.
    """

    directory: Path
    cmap: str = "jet"
    opacity: float = 0.5

    def draw(self, explanations: Sequence[Explanation]) -> list[dict[str, Any]]:
        """Write the pictures of a photo and its maps; return for each map where they are, seen from the report."""
        first = explanations[0]
        seen = self.draw_image(first.source, _map_id(first), first.image, first.heatmap, first.crop_box)
        return [
            {**seen, "picture": self.draw_map(one.source, _map_id(one), one.heatmap, one.crop_box)}
            for one in explanations
        ]

    def report_fields(
        self, explanations: Sequence[Explanation], written: Sequence[dict[str, str]]
    ) -> list[dict[str, Any]]:
        """Draw the maps of an image; return, for each, what the report adds to its record.

        Args:
            explanations: the maps of one image.
            written: their output files by kind.
        """
        return [
            {**drawn, "files": self.relative_paths(paths)}
            for drawn, paths in zip(self.draw(explanations), written, strict=True)
        ]

    def draw_image(
        self, source: str, map_id: str, image: np.ndarray | None, heatmap: np.ndarray, crop_box: Box
    ) -> dict[str, Any]:
        """Write a photo, and a small one under its map.

        Args:
            source: name of the photo.
            map_id: tells the maps of a photo apart.
            image: (H, W, 3) uint8, or None where it is lost.
            heatmap: (H, W) in 0..1.
            crop_box: the part of the photo that the network saw.
        """
        height, width = heatmap.shape
        if image is None:
            return {"size": [width, height]}
        small = encode_thumbnail(image, heatmap, crop_box, self.cmap, self.opacity)
        return {
            "size": [width, height],
            "photo": self._save(source, f"photo.{source_image_format(image)}", encode_source_image(image)),
            "thumb": self._save(f"{source}\0{map_id}", "thumb.jpg", small),
        }

    def draw_map(self, source: str, map_id: str, heatmap: np.ndarray, crop_box: Box) -> str:
        """Write a map as it is laid over its photo, and return its place; the arguments are those of `draw_image`."""
        return self._save(f"{source}\0{map_id}", "map.png", encode_map(heatmap, crop_box, self.cmap))

    def _save(self, key: str, ending: str, data: bytes) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{REPORT_FOLDER}/{digest}_gradcam_{ending}"
        write_output(self.directory / name, data)
        return name

    def relative_paths(self, paths: dict[str, str]) -> dict[str, str]:
        """Return the paths of files, by kind, as they are seen from the report."""
        return {kind: relative_to(path, self.directory) for kind, path in paths.items()}


def _map_id(explanation: Explanation) -> str:
    return "|".join([explanation.layer, *explanation.request_key, str(explanation.prediction.index)])
