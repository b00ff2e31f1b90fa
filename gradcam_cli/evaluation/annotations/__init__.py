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
from gradcam_cli.storage.regular_files import walk_files


def read_annotations(path: Path) -> list[Annotation]:
    """Read annotations, without crowds and objects marked as difficult.

    Args:
        path: COCO instances (.json); Pascal VOC (.xml) or a directory of such files; or rows of
            `path,class,x0,y0,x1,y1` (.csv) with or without a header, x1 and y1 not included; for signals,
            `path,class,x0,x1`; for volumes and films, `path,class,x0,y0,z0,x1,y1,z1`.

    Raises:
        UsageError: a file cannot be read or is malformed, or there are no annotations.
    """
    annotations = [annotation for file in _annotation_files(path) for annotation in _parse_annotations(file)]
    if not annotations:
        raise UsageError(f"annotations {path}: no annotations found")
    return annotations


def _annotation_files(path: Path) -> list[Path]:
    if not os.path.isdir(path):  # False where Path.is_dir raises
        return [path]
    files = sorted(Path(file) for file in walk_files(path) if file.lower().endswith(".xml") and os.path.isfile(file))
    if not files:
        raise UsageError(f"annotations {path}: no Pascal VOC files (.xml) found in the directory")
    return files


def _parse_annotations(path: Path) -> list[Annotation]:
    parse = FORMATS.get(path.suffix.lower())
    if parse is None:
        raise UsageError(
            f"annotations {path}: expected a directory or a {', '.join(FORMATS)} file, got {path.suffix or 'no suffix'}"
        )
    return parse_file("annotations", path, parse)


FORMATS = {".json": parse_coco, ".xml": parse_voc, ".csv": parse_csv_boxes}
