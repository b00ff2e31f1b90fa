"""Boxes from CSV files: one `path,class,x0,y0,x1,y1` per row, or the corners of a box with other axes."""

from __future__ import annotations

from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.parsing import checked_box, parse_csv
from gradcam_cli.evaluation.annotations.voc import parse_float

FORMATS = ("path,class,x0,y0,x1,y1", "path,class,x0,x1", "path,class,x0,y0,z0,x1,y1,z1")
"""The columns for images; for signals, along their time; for volumes and films, with the slices or frames z0 to z1."""


def parse_csv_boxes(data: bytes) -> list[Annotation]:
    """Return the annotations of a CSV file with or without a header."""
    rows = list(parse_csv(data, *FORMATS))
    if rows and _is_header(rows[0][1]):
        del rows[0]
    annotations = []
    for where, (file, category, *corners) in rows:
        box = checked_box([parse_float(corner, where) for corner in corners], where)
        annotations.append(Annotation(file, category, None, box))
    return annotations


def _is_header(fields: list[str]) -> bool:
    """Return whether none of the coordinates is a number."""
    for field in fields[2:]:
        try:
            float(field)
        except ValueError:
            continue
        return False
    return True
