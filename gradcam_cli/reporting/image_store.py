"""The images of a report as files, with names derived from what they show."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.images.fit import fit_box
from gradcam_cli.images.space import IMAGE, Space
from gradcam_cli.methods.maps import peak
from gradcam_cli.output.colors import DEFAULT, color_table
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import Shown
from gradcam_cli.pipeline import panels
from gradcam_cli.pipeline.captions import color_limit
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.results import Explanation
from gradcam_cli.pipeline.saved import SavedMap
from gradcam_cli.reporting.levels import Levels, encode_levels
from gradcam_cli.reporting.run_log import REPORT_FOLDER
from gradcam_cli.reporting.sheets import Numbers, encode_sheet, profiles, shown_numbers
from gradcam_cli.reporting.signal_lines import encode_signal
from gradcam_cli.reporting.thumbnails import (
    encode_map,
    encode_source_image,
    encode_still,
    encode_thumbnail,
    source_image_format,
)
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
        numbers = shown_numbers(first.space, first.heatmap.shape, (each.peak for each in explanations))
        shown = panels.shown(first, self.render)
        images = self.draw_image(first.source, _map_id(first), shown, numbers)
        return [{**images, **self._draw_explanation(explanation, numbers)} for explanation in explanations]

    def _draw_explanation(self, explanation: Explanation, numbers: Numbers) -> Record:
        shown = panels.shown(explanation, self.render)
        return {
            **self.draw_map(explanation.source, _map_id(explanation), shown, numbers),
            "levels": encode_levels(shown.heatmap, explanation.map_box, explanation.cam.shape, shown.limit),
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

    def shown(
        self, image: np.ndarray | None, heatmap: np.ndarray, crop_box: Box, method: str, space: Space = IMAGE
    ) -> Shown:
        """Return what is drawn of a saved map.

        Args:
            image: the pixels of the input, or None if it no longer exists.
            heatmap: (H, W) in 0..1, or of the other spatial shape of the input.
            crop_box: the part of the image that the model input contains.
            method: the method of the map, on which the default of `RenderOptions.clip` depends.
            space: what the input is.
        """
        pixels = np.empty(0, np.uint8) if image is None else image
        return Shown(pixels, heatmap, crop_box, space, peak(heatmap), color_limit(heatmap, method, self.render))

    def draw_image(self, source: str, map_id: str, shown: Shown, numbers: Numbers) -> Record:
        """Write an image, and a thumbnail of the image under its map.

        Of a volume or a film, the image is a sheet of slices for each axis; of a signal, it is the lines in the record.

        Args:
            source: name of the image.
            map_id: identifies the map among the maps of the image.
            shown: the image and the map; without pixels, no file is written.
            numbers: of the slices.
        """
        size: Record = {"size": list(shown.heatmap.shape[::-1])}
        if not shown.pixels.size:
            place = {"path": None, "columns": 1, "width": 1, "height": 1}
            empty = [{"axis": axis, "numbers": list(each), **place} for axis, each in numbers.items()]
            return {**size, **({"sheets": empty} if empty else {})}
        thumbnail = encode_thumbnail(shown, self.render)
        size["thumbnail"] = self._save(f"{source}\0{map_id}", "thumbnail.jpg", thumbnail)
        if shown.space.kind == "image":
            name = f"image.{source_image_format(shown.pixels)}"
            return {**size, "image": self._save(source, name, encode_source_image(shown.pixels))}
        if shown.space.kind == "signal":
            return {**size, "signal": encode_signal(shown.pixels)}
        return {**size, "sheets": [self._draw_sheet(source, shown, axis, each) for axis, each in numbers.items()]}

    def _draw_sheet(self, source: str, shown: Shown, axis: int, numbers: Sequence[int]) -> Record:
        sheet = encode_sheet(shown.pixels, axis, numbers)
        path = self._save(source, f"slices{axis}.{sheet.image_format}", sheet.data)
        grid = {"columns": sheet.columns, "width": sheet.width, "height": sheet.height}
        return {"axis": axis, "path": path, "numbers": list(numbers), **grid}

    def draw_map(self, source: str, map_id: str, shown: Shown, numbers: Numbers) -> Record:
        """Write a map for display over its image, or, of another input, one picture of the input with its map."""
        key = f"{source}\0{map_id}"
        if shown.space.kind == "image":
            data = encode_map(shown.heatmap, shown.crop_box, self.render, shown.limit)
            return {"map_image": self._save(key, "map.png", data)}
        profile = {"profiles": profiles(shown.heatmap, numbers)} if numbers else {}
        if not shown.pixels.size:
            return profile
        return {"figure": self._save(key, "map.jpg", encode_still(shown, self.render)), **profile}

    def saved_levels(self, saved: SavedMap) -> Levels:
        """Return the numbers of a saved map, whose file does not contain the part of the image that the cells cover.

        It is the part that a model input with the aspect ratio of the cells shows, or else the whole image.
        """
        shape, cells = saved.heatmap.shape, saved.cam.shape
        limit = color_limit(saved.heatmap, saved.metadata["method"], self.render)
        boxes = fit_box(saved.space, shape, cells, saved.metadata["fit"]), Box.whole(shape)
        found = (encode_levels(saved.heatmap, box, cells, limit) for box in boxes)
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
