"""Search the readers of other people's files for what breaks them, led by the branches that inputs reach.

Usage: pip install atheris; python tools/fuzz.py READER SECONDS [FOLDER]

READER is one of `READERS`. FOLDER keeps the inputs that reached something new, for the next time. What ends in another
error than the promised one is written to a file crash-..., shown, and ends the search with another status than 0.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["gradcam_cli", "PIL"]):
    from PIL import Image

    Image.init()  # all formats, so that their branches are seen
    from gradcam_cli.errors import GradcamError
    from gradcam_cli.evaluation.annotations import read_annotations
    from gradcam_cli.evaluation.annotations.masks import annotation_mask
    from gradcam_cli.images.decode import decode
    from gradcam_cli.models.labels import read_labels
    from gradcam_cli.report.run_records import merge_runs, read_records

COCO = {
    "images": [{"id": 1, "file_name": "a.png"}],
    "categories": [{"id": 7, "name": "cat"}],
    "annotations": [
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 3], "segmentation": [[0, 0, 2, 0, 2, 3]]},
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 3], "segmentation": {"size": [4, 3], "counts": "237"}},
        {"image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 3], "segmentation": {"size": [4, 3], "counts": [5, 7]}},
    ],
}
VOC = b"""<annotation><filename>a.png</filename><object><name>cat</name><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>2</ymax></bndbox></object></annotation>"""
CSV = b'path,class,x0,y0,x1,y1\na.png,cat,0,0,2,3\n"b, c.png",dog,1.5,1,1e2,3\n'
LABELS = [json.dumps({"0": ["n1", "cat"], "1": ["n2", "dog"]}).encode(), b'["cat", "dog"]', b"cat\ndog\n"]
LINES = b'{"status": "run_start"}\n{"status": "ok", "input": "a.png"}\n{"status": "skipped", "input": "a.png"}\n'


def _photos() -> list[bytes]:
    image, kinds = Image.new("RGB", (9, 7), (255, 128, 0)), ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
    buffers = [(io.BytesIO(), kind) for kind in kinds]
    for buffer, kind in buffers:
        image.save(buffer, kind)
    return [buffer.getvalue() for buffer, _ in buffers]


def _annotations(path: Path) -> None:
    for one in read_annotations(path):
        annotation_mask(one, (4, 3))


def _photo(path: Path) -> None:
    pixels = decode(path.read_bytes(), 1 << 16)
    assert (pixels.dtype.name, pixels.ndim) == ("uint8", 3)


READERS: dict[str, tuple[str, Sequence[bytes], Callable[[Path], object]]] = {
    "coco": (".json", [json.dumps(COCO).encode()], _annotations),
    "voc": (".xml", [VOC], _annotations),
    "csv": (".csv", [CSV], _annotations),
    "labels": (".json", LABELS, read_labels),
    "lines": (".jsonl", [LINES], lambda path: merge_runs(read_records(path))),
    "photos": (".bin", _photos(), _photo),
}
"""The suffix of a reader's files, valid ones to begin with, and what is done with each."""


def main(name: str, seconds: str, folder: str | None = None) -> None:
    """Search; does not return."""
    suffix, valid, read = READERS[name]
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(folder or f"{scratch}/corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(valid):
            (corpus / f"valid-{number}").write_bytes(data)
        path = Path(scratch) / f"drawn{suffix}"

        def try_one(data: bytes) -> None:
            path.write_bytes(data)
            with contextlib.suppress(GradcamError):
                read(path)

        words = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *words, str(corpus)], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
