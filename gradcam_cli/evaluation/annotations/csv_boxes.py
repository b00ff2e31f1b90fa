"""Boxes from CSV files: one `path,class,x0,y0,x1,y1` per row."""

from __future__ import annotations

from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.parsing import checked_box, parse_csv
from gradcam_cli.evaluation.annotations.voc import parse_float


def parse_csv_boxes(data: bytes) -> list[Annotation]:
    """Return the annotations of a CSV file with or without a header."""
    rows = list(parse_csv(data, "path,class,x0,y0,x1,y1"))
    if rows and _is_header(rows[0][1]):
        del rows[0]
    annotations = []
    for where, (file, category, *corners) in rows:
        x0, y0, x1, y1 = (parse_float(corner, where) for corner in corners)
        annotations.append(Annotation(file, category, None, checked_box(x0, y0, x1, y1, where)))
    return annotations


def _is_header(fields: list[str]) -> bool:
    """Return whether none of the four corners is a number."""
    for field in fields[2:]:
        try:
            float(field)
        except ValueError:
            continue
        return False
    return True
