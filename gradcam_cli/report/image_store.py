"""The images of a report as files, with names derived from what they show."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradcam_cli.images.fit import Box
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.report.run_log import REPORT_FOLDER
from gradcam_cli.report.thumbnails import encode_map, encode_source_image, encode_thumbnail, source_image_format
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import relative_to


@dataclass(frozen=True)
class ReportImages:
    """Writes the images of a report; several threads and processes may share it.

    Attributes:
        directory: directory of the report.
        cmap: name of the colormap.
        opacity: opacity of the maps in thumbnails, 0..1.
    """

    directory: Path
    cmap: str = "jet"
    opacity: float = 0.5

    def draw(self, explanations: Sequence[Explanation]) -> list[Record]:
        """Write an image and its maps; return what the report stores of each map."""
        first = explanations[0]
        image = self.draw_image(first.source, first.image, first.heatmap.shape)
        return [{**image, **self._draw_explanation(explanation)} for explanation in explanations]

    def _draw_explanation(self, explanation: Explanation) -> Record:
        e = explanation
        return self.draw_map(e.source, _map_id(e), e.image, e.heatmap, e.crop_box)

    def report_fields(self, explanations: Sequence[Explanation], written: Sequence[dict[str, str]]) -> list[Record]:
        """Draw the maps of an image; return, for each map, what the report adds to its record.

        Args:
            explanations: the maps of one image.
            written: their output files by kind.
        """
        return [
            {**images, "files": self.relative_paths(paths)}
            for images, paths in zip(self.draw(explanations), written, strict=True)
        ]

    def draw_image(self, source: str, image: np.ndarray | None, shape: tuple[int, ...]) -> Record:
        """Write an image; return its path, its size and the name of the colormap.

        Args:
            source: name of the image.
            image: (H, W, 3) uint8, or None if the image no longer exists.
            shape: (H, W).
        """
        fields: Record = {"size": [shape[1], shape[0]], "cmap": self.cmap}
        if image is None:
            return fields
        path = self._save(source, f"image.{source_image_format(image)}", encode_source_image(image))
        return {**fields, "image": path}

    def draw_map(
        self, source: str, map_id: str, image: np.ndarray | None, heatmap: np.ndarray, crop_box: Box
    ) -> Record:
        """Write a map for display over its image, and a thumbnail of the image under the map; return their paths.

        Args:
            source: name of the image.
            map_id: identifies the map among the maps of the image.
            image: (H, W, 3) uint8, or None if the image no longer exists.
            heatmap: (H, W) in 0..1.
            crop_box: the part of the image that the model input contains.
        """
        key = f"{source}\0{map_id}"
        paths = {"map_image": self._save(key, "map.png", encode_map(heatmap, crop_box, self.cmap))}
        if image is None:
            return paths
        thumbnail = encode_thumbnail(image, heatmap, crop_box, self.cmap, self.opacity)
        return {**paths, "thumbnail": self._save(key, "thumbnail.jpg", thumbnail)}

    def _save(self, key: str, ending: str, data: bytes) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{REPORT_FOLDER}/{digest}_gradcam_{ending}"
        write_output(self.directory / name, data, self.directory)
        return name

    def relative_paths(self, paths: dict[str, str]) -> dict[str, str]:
        """Return paths by kind, relative to the report."""
        return {kind: relative_to(path, self.directory) for kind, path in paths.items()}


def _map_id(explanation: Explanation) -> str:
    return "|".join([explanation.layer, *explanation.request_key, str(explanation.prediction.index)])
