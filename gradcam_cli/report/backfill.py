"""Pictures for the results of a run that kept none: from the arrays that it saved and the photos, where they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from gradcam_cli.errors import InputError
from gradcam_cli.images.fit import Box
from gradcam_cli.output.destination import PICTURES
from gradcam_cli.pipeline.saved import photo_of, read_result
from gradcam_cli.report.image_store import Album
from gradcam_cli.report.run_records import Record
from gradcam_cli.storage.files import exists
from gradcam_cli.storage.paths import is_url, name_of, place


def with_pictures(records: Iterable[Record], album: Album) -> Iterator[Record]:
    """Yield the records, those of maps without pictures with what can be found or made of them."""
    for record in records:
        if record["status"] == "ok" and "outputs" in record and "report" not in record:
            record = {**record, "report": _found(record, album)}
        yield record


def _found(record: Record, album: Album) -> Record:
    paths = {kind: found for kind, name in record["outputs"].items() if (found := _find(name, album.directory))}
    files = album.files({kind: str(path) for kind, path in paths.items()})
    drawn: Record = {"files": files}
    if pictures := [files[kind] for kind, path in paths.items() if path.suffix in PICTURES]:
        drawn["drawn"] = pictures[0]
    if "npz" in paths and "depths" not in record:
        try:
            saved = read_result(paths["npz"])
        except (InputError, KeyError):
            return drawn
        view = Box(*record["view"]) if record.get("view") else Box(0, 0, *saved.map.shape[::-1])
        which = "|".join(str(record.get(key)) for key in ("layer", "method", "class_asked"))
        drawn |= album.draw_photo(record["input"], which, photo_of(saved), saved.map, view)
        drawn["picture"] = album.draw_map(record["input"], which, saved.map, view)
    return drawn


def _find(name: str, directory: Path) -> Path | None:
    """Return where a file is: as it was named, or in the folder of the report, which may have moved."""
    below = [] if is_url(name) else [directory / name]
    return next((path for path in (place(name), *below, directory / name_of(name)) if exists(path)), None)
