"""Annotations of images: boxes and masks from COCO, Pascal VOC and CSV files."""

from __future__ import annotations

import os
from pathlib import Path

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations.coco import parse_coco
from gradcam_cli.evaluation.annotations.csv_boxes import parse_csv_boxes
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.parsing import parse_file
from gradcam_cli.evaluation.annotations.voc import parse_voc


def read_annotations(path: Path) -> list[Annotation]:
    """Read what people drew in photos, except crowds and what they marked as difficult.

    Args:
        path: COCO instances (.json), one photo's Pascal VOC (.xml), a directory of these, or lines
            of `path,class,x0,y0,x1,y1` (.csv) with or without a header, the ends not included.

    Raises:
        UsageError: something there cannot be read, has another form, or there are no annotations.
    """
    annotations = [annotation for file in _annotation_files(path) for annotation in _parse_annotations(file)]
    if not annotations:
        raise UsageError(f"annotations {path}: expected at least one annotation, got none")
    return annotations


def _annotation_files(path: Path) -> list[Path]:
    if not os.path.isdir(path):  # where Path.is_dir raises, this is False
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".xml" and os.path.isfile(file))
    if not found:
        raise UsageError(f"annotations {path}: expected Pascal VOC files (.xml) in the directory, got none")
    return found


def _parse_annotations(path: Path) -> list[Annotation]:
    parse = FORMATS.get(path.suffix.lower())
    if parse is None:
        raise UsageError(f"annotations {path}: expected a directory, or a file of {', '.join(FORMATS)}, got neither")
    return parse_file("annotations", path, parse)


FORMATS = {".json": parse_coco, ".xml": parse_voc, ".csv": parse_csv_boxes}
