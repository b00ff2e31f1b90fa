"""The images of a report as files, with names derived from what they show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.images.fit import crop_box_for
from gradcam_cli.output.colors import DEFAULT, color_table
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.captions import color_limit
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.saved import SavedMap
from gradcam_cli.reporting.levels import Levels, encode_levels
from gradcam_cli.reporting.run_log import REPORT_FOLDER
from gradcam_cli.reporting.thumbnails import encode_map, encode_source_image, encode_thumbnail, source_image_format
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import relative_to


@dataclass(frozen=True)
class ReportImages:
    """Writes the images of a report; several threads and processes may share it.

    Attributes:
        directory: directory of the report.
        render: how the maps are drawn.
    """

    directory: Path
    render: RenderOptions = DEFAULT

    def draw(self, explanations: Sequence[Explanation]) -> list[Record]:
        """Write an image and its maps; return for each map the paths relative to the report."""
        first = explanations[0]
        images = self.draw_image(first.source, _map_id(first), first.image, first.heatmap, first.crop_box, first.method)
        return [{**images, **self._draw_explanation(explanation)} for explanation in explanations]

    def _draw_explanation(self, explanation: Explanation) -> Record:
        map_id, heatmap, method = _map_id(explanation), explanation.heatmap, explanation.method
        return {
            "map_image": self.draw_map(explanation.source, map_id, heatmap, explanation.crop_box, method),
            "levels": self.levels(heatmap, explanation.map_box, explanation.cam.shape, method),
        }

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

    def draw_image(
        self, source: str, map_id: str, image: np.ndarray | None, heatmap: np.ndarray, crop_box: Box, method: str = ""
    ) -> Record:
        """Write an image, and a thumbnail of the image under its map.

        Args:
            source: name of the image.
            map_id: identifies the map among the maps of the image.
            image: (H, W, 3) uint8, or None if the image no longer exists.
            heatmap: (H, W) in 0..1.
            crop_box: the part of the image that the model input contains.
            method: the method of the map, on which the default of `RenderOptions.clip` depends.
        """
        height, width = heatmap.shape
        if image is None:
            return {"size": [width, height]}
        limit = color_limit(heatmap, method, self.render)
        thumbnail = encode_thumbnail(image, heatmap, crop_box, self.render, limit)
        return {
            "size": [width, height],
            "image": self._save(source, f"image.{source_image_format(image)}", encode_source_image(image)),
            "thumbnail": self._save(f"{source}\0{map_id}", "thumbnail.jpg", thumbnail),
        }

    def draw_map(self, source: str, map_id: str, heatmap: np.ndarray, crop_box: Box, method: str = "") -> str:
        """Write a map for display over its image and return its path; the arguments are those of `draw_image`."""
        limit = color_limit(heatmap, method, self.render)
        return self._save(f"{source}\0{map_id}", "map.png", encode_map(heatmap, crop_box, self.render, limit))

    def levels(self, heatmap: np.ndarray, box: Box, cells: tuple[int, ...], method: str) -> Levels:
        """Return the numbers of a map for the page; see `levels.encode_levels`."""
        return encode_levels(heatmap, box, cells, color_limit(heatmap, method, self.render))

    def saved_levels(self, saved: SavedMap) -> Levels:
        """Return the numbers of a saved map, whose file does not contain the part of the image that the cells cover.

        It is the part that a model input with the aspect ratio of the cells shows, or else the whole image.
        """
        shape: tuple[int, int] = saved.heatmap.shape
        boxes = crop_box_for(shape, saved.cam.shape, saved.metadata["fit"]), Box(0, 0, *shape[::-1])
        found = (self.levels(saved.heatmap, box, saved.cam.shape, saved.metadata["method"]) for box in boxes)
        first = next(found)
        return first if first["exact"] else next(found)

    def _save(self, key: str, ending: str, data: bytes) -> str:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        name = f"{REPORT_FOLDER}/{digest}_gradcam_{ending}"
        write_output(self.directory / name, data, self.directory)
        return name

    def relative_paths(self, paths: dict[str, str]) -> dict[str, str]:
        """Return paths by kind, relative to the report."""
        return {kind: relative_to(path, self.directory) for kind, path in paths.items()}


def recorded_render(records: Iterable[Record]) -> RenderOptions:
    """Return how the maps of a run are drawn: the colormap and the blend of its first record, or defaults."""
    start = next((record for record in records if record["status"] == "run_start"), {})
    options = {key: start[key] for key in ("cmap", "blend") if start.get(key)}
    try:
        color_table(options.get("cmap", DEFAULT.cmap))
    except UsageError:  # a run log can be edited
        return DEFAULT
    return RenderOptions(**options)


def _map_id(explanation: Explanation) -> str:
    return "|".join([explanation.layer, *explanation.request_key, str(explanation.prediction.index)])
