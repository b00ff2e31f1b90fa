"""Images for a report of a run that wrote none: drawn from its saved maps and from the source images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gradcam_cli.console import escape_control_chars, log
from gradcam_cli.errors import InputError
from gradcam_cli.images.box import Box, clip_to_image
from gradcam_cli.output.destination import IMAGE_SUFFIXES
from gradcam_cli.pipeline.json_lines import Record
from gradcam_cli.pipeline.saved import load_saved_map, load_source_image
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.sheets import shown_numbers
from gradcam_cli.storage.files import exists
from gradcam_cli.storage.paths import as_path, basename, is_inside, is_url


def add_missing_images(records: Iterable[Record], report_images: ReportImages) -> Iterator[Record]:
    """Yield the records; a record without report images gets those that can be found or drawn.

    Only files in the directory of the report are used, and the image of a record if `read_recorded_image` allows it.
    """
    for record in records:
        if record["status"] == "ok" and "outputs" in record and record.get("report") is None:
            yield {**record, "report": _images_for_record(record, report_images)}
        else:
            yield record


def _images_for_record(record: Record, report_images: ReportImages) -> Record:
    candidates = {kind: _find_file(name, report_images.directory) for kind, name in record["outputs"].items()}
    paths = {kind: path for kind, path in candidates.items() if path}
    files = report_images.relative_paths({kind: str(path) for kind, path in paths.items()})
    images: Record = {"files": files}
    if figures := [files[kind] for kind, path in paths.items() if path.suffix in IMAGE_SUFFIXES]:
        images["figure"] = figures[0]
    if "npz" in paths and "depths" not in record:
        images |= _draw_saved_map(record, paths["npz"], report_images)
    return images


def _draw_saved_map(record: Record, path: Path, report_images: ReportImages) -> Record:
    """Draw a map and its source image from an `.npz` file; a damaged file gives a note and no image."""
    try:
        saved = load_saved_map(path)
    except InputError as error:
        log.warning("%s; the map is not drawn", escape_control_chars(error.message))
        return {}
    shape = saved.heatmap.shape
    crop_box = Box(*record.get("crop_box") or Box.whole(shape))
    if len(crop_box) != 2 * len(shape) or any(
        start >= stop for start, stop in clip_to_image(crop_box, shape).intervals
    ):
        return {}
    map_id = "|".join(str(record.get(key)) for key in ("layer", "method", "requested_class"))
    image, space = load_source_image(saved), saved.space
    shown = report_images.shown(image, saved.heatmap, crop_box, saved.metadata["method"], space)
    numbers = shown_numbers(space, shape, [shown.peak])
    return {
        **report_images.draw_image(record["input"], map_id, shown, numbers),
        **report_images.draw_map(record["input"], map_id, shown, numbers),
        "levels": report_images.saved_levels(saved),
    }


def _find_file(name: str, directory: Path) -> Path | None:
    """Return the path of an output file in the report's directory, also if the directory was moved; otherwise None."""
    moved = [] if is_url(name) else [directory / name]
    candidates: tuple[str | Path, ...] = (name, *moved, directory / basename(name))
    paths = (as_path(path) for path in candidates if is_inside(path, directory))
    return next(filter(exists, paths), None)
