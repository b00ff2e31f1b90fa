"""Pictures for the results of a run that kept none: from the arrays that it saved and the photos, where they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gradcam_cli.errors import InputError
from gradcam_cli.images.fit import Box
from gradcam_cli.output.destination import IMAGE_SUFFIXES
from gradcam_cli.pipeline.saved import load_saved_map, load_source_image
from gradcam_cli.report.image_store import ReportImages
from gradcam_cli.report.run_records import Record
from gradcam_cli.storage.files import exists
from gradcam_cli.storage.paths import as_path, basename, is_url


def add_missing_images(records: Iterable[Record], report_images: ReportImages) -> Iterator[Record]:
    """Yield the records, those of maps without pictures with what can be found or made of them."""
    for record in records:
        if record["status"] == "ok" and "outputs" in record and "report" not in record:
            record = {**record, "report": _images_for_record(record, report_images)}
        yield record


def _images_for_record(record: Record, report_images: ReportImages) -> Record:
    paths = {
        kind: found for kind, name in record["outputs"].items() if (found := _find_file(name, report_images.directory))
    }
    files = report_images.relative_paths({kind: str(path) for kind, path in paths.items()})
    drawn: Record = {"files": files}
    if pictures := [files[kind] for kind, path in paths.items() if path.suffix in IMAGE_SUFFIXES]:
        drawn["drawn"] = pictures[0]
    if "npz" in paths and "depths" not in record:
        try:
            saved = load_saved_map(paths["npz"])
        except (InputError, KeyError):
            return drawn
        view = Box(*record["view"]) if record.get("view") else Box(0, 0, *saved.heatmap.shape[::-1])
        which = "|".join(str(record.get(key)) for key in ("layer", "method", "class_asked"))
        drawn |= report_images.draw_image(record["input"], which, load_source_image(saved), saved.heatmap, view)
        drawn["picture"] = report_images.draw_map(record["input"], which, saved.heatmap, view)
    return drawn


def _find_file(name: str, directory: Path) -> Path | None:
    """Return where a file is: as it was named, or in the folder of the report, which may have moved."""
    below = [] if is_url(name) else [directory / name]
    return next((path for path in (as_path(name), *below, directory / basename(name)) if exists(path)), None)
