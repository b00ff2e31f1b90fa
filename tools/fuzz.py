"""Fuzz the readers of untrusted files with Atheris, guided by branch coverage.

Usage: pip install atheris; python tools/fuzz.py READER SECONDS [DIR]

READER is a key of `READERS`. DIR keeps the inputs that reached new branches, for the next run. An input that raises
anything but a `GradcamError` ends the run: it is written to a file crash-..., and the exit status is not 0.
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

    Image.init()  # import all formats here, so that they are instrumented
    from gradcam_cli.errors import GradcamError
    from gradcam_cli.evaluation.annotations import read_annotations
    from gradcam_cli.evaluation.annotations.masks import annotation_mask
    from gradcam_cli.images.decode import decode
    from gradcam_cli.models.labels import read_labels
    from gradcam_cli.reporting.run_records import merge_runs, read_records

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
RECORDS = b'{"status": "run_start"}\n{"status": "ok", "input": "a.png"}\n{"status": "skipped", "input": "a.png"}\n'
IMAGE_FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM")
MAX_PIXELS = 1 << 16


def encode_image(image_format: str) -> bytes:
    """Return a small valid file of an image format."""
    buffer = io.BytesIO()
    Image.new("RGB", (9, 7), (255, 128, 0)).save(buffer, image_format)
    return buffer.getvalue()


def read_masks(path: Path) -> None:
    """Read annotations and the mask of each."""
    for annotation in read_annotations(path):
        annotation_mask(annotation, (4, 3))


def read_pixels(path: Path) -> None:
    """Decode an image."""
    pixels = decode(path.read_bytes(), MAX_PIXELS)
    assert (pixels.dtype.name, pixels.ndim) == ("uint8", 3)


READERS: dict[str, tuple[str, Sequence[bytes], Callable[[Path], object]]] = {
    "coco": (".json", [json.dumps(COCO).encode()], read_masks),
    "voc": (".xml", [VOC], read_masks),
    "csv": (".csv", [CSV], read_masks),
    "labels": (".json", LABELS, read_labels),
    "records": (".jsonl", [RECORDS], lambda path: merge_runs(read_records(path))),
    "images": (".bin", [encode_image(image_format) for image_format in IMAGE_FORMATS], read_pixels),
}
"""File suffix, valid files as the initial corpus, and the function under test, by name."""


def main(name: str, seconds: str, directory: str | None = None) -> None:
    """Fuzz a reader; never returns, because libFuzzer ends the process."""
    suffix, valid, read = READERS[name]
    with tempfile.TemporaryDirectory() as temporary:
        corpus = Path(directory or f"{temporary}/corpus")
        corpus.mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(valid):
            (corpus / f"valid-{number}").write_bytes(data)
        path = Path(temporary) / f"input{suffix}"

        def test_one_input(data: bytes) -> None:
            path.write_bytes(data)
            with contextlib.suppress(GradcamError):
                read(path)

        options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1"]
        atheris.Setup([sys.argv[0], *options, str(corpus)], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4) or sys.argv[1] not in READERS:
        sys.exit(f"{__doc__}\nREADER: {', '.join(READERS)}")
    main(*sys.argv[1:])
