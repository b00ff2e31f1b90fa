"""Boxes and outlines that people drew in photos, read from COCO, Pascal VOC or CSV."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TypeVar
from xml.etree import ElementTree

from gradcam_cli.errors import UsageError
from gradcam_cli.forms import FormError, load, parse_json, parse_rows
from gradcam_cli.regions import RLE, Annotation, Outline

T = TypeVar("T")

KINDS: dict[type, str] = {int: "a whole number", str: "text", list: "a list"}


def read_annotations(path: Path) -> list[Annotation]:
    """Read what people drew in photos, except crowds and what they marked as difficult.

    Args:
        path: COCO instances (.json), one photo's Pascal VOC (.xml), a directory of these, or lines
            of `path,class,x0,y0,x1,y1` (.csv) with or without a header, the ends not included.

    Raises:
        UsageError: something there cannot be read, has another form, or there are no annotations.
    """
    annotations = [annotation for file in _files(path) for annotation in _annotations_of(file)]
    if not annotations:
        raise UsageError(f"annotations {path}: expected at least one annotation, got none")
    return annotations


def _files(path: Path) -> list[Path]:
    if not os.path.isdir(path):  # where Path.is_dir raises, this is False
        return [path]
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() == ".xml" and os.path.isfile(file))
    if not found:
        raise UsageError(f"annotations {path}: expected Pascal VOC files (.xml) in the directory, got none")
    return found


def _annotations_of(path: Path) -> list[Annotation]:
    parse = FORMATS.get(path.suffix.lower())
    if parse is None:
        raise UsageError(f"annotations {path}: expected a directory, or a file of {', '.join(FORMATS)}, got neither")
    return load("annotations", path, parse)


def _coco(data: bytes) -> list[Annotation]:
    document = parse_json(data)
    photos, categories = _by_id(document, "images", "file_name"), _by_id(document, "categories", "name")
    annotations = []
    for number, entry in enumerate(_get(document, "annotations", list, "the file")):
        where = f"annotations[{number}]"
        category = _get(entry, "category_id", int, where)
        photo = _get(entry, "image_id", int, where)
        if photo not in photos:
            raise FormError(f"the id of one of the images as image_id of {where}", photo)
        if category not in categories:
            raise FormError(f"the id of one of the categories as category_id of {where}", category)
        if entry.get("iscrowd") not in (0, 1, None):
            raise FormError(f"0 or 1 as iscrowd of {where}", entry["iscrowd"])
        if entry.get("iscrowd") != 1:
            box, outline = _coco_box(entry.get("bbox"), where), _outline(entry.get("segmentation"), where)
            if box:
                annotations.append(Annotation(photos[photo], categories[category], category, box, outline))
    return annotations


def _by_id(document: object, key: str, name: str) -> dict[int, str]:
    """Return the names in a list of COCO's by their ids, which are unique."""
    entries = _get(document, key, list, "the file")
    wheres = [f"{key}[{number}]" for number in range(len(entries))]
    names = {
        _get(entry, "id", int, where): _get(entry, name, str, where)
        for entry, where in zip(entries, wheres, strict=True)
    }
    if len(names) < len(entries):
        raise FormError(f"another id for each of the {len(entries)} {key}", len(names))
    return names


def _get(entry: object, key: str, kind: type[T], where: str) -> T:
    if not isinstance(entry, dict):
        raise FormError(f"an object as {where}", entry)
    value = entry.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FormError(f"{KINDS[kind]} as {key} of {where}", value)
    return value


def _finite(values: object) -> list[float] | None:
    """Return a list of finite numbers as floats, and None for anything else."""
    largest = sys.float_info.max
    if isinstance(values, list) and all(type(v) in (int, float) and abs(v) <= largest for v in values):
        return [float(v) for v in values]
    return None


def _box(x0: float, y0: float, x1: float, y1: float, where: str) -> tuple[float, float, float, float]:
    box = (x0, y0, x1, y1)
    if _finite(list(box)) is None or not (x0 < x1 and y0 < y1):
        raise FormError(f"finite x0 < x1 and y0 < y1 as the box of {where}", box)
    return box


def _coco_box(value: object, where: str) -> tuple[float, float, float, float] | None:
    """Return a box, or None for one without width or height: COCO's own files hold such."""
    numbers = _finite(value)
    if numbers is None or len(numbers) != 4:
        raise FormError(f"four finite numbers as bbox of {where}", value)
    x, y, width, height = numbers
    return _box(x, y, x + width, y + height, where) if width and height else None


def _outline(value: object, where: str) -> Outline:
    if isinstance(value, list):
        return [_polygon(polygon, where) for polygon in value] or None
    return None if value is None else _rle(value, where)


def _polygon(value: object, where: str) -> list[float]:
    numbers = _finite(value)
    if numbers is None or len(numbers) < 6 or len(numbers) % 2:
        raise FormError(f"three or more points x, y of finite numbers as a polygon of {where}", value)
    return numbers


def _rle(value: object, where: str) -> RLE:
    size = _get(value, "size", list, f"the segmentation of {where}")
    counts = value.get("counts") if isinstance(value, dict) else None
    if isinstance(counts, str):
        counts = _decode(counts, where)
    if len(size) != 2 or not _whole(size):
        raise FormError(f"[height, width] as the segmentation's size of {where}", size)
    if not isinstance(counts, list) or not _whole(counts) or sum(counts) != size[0] * size[1]:
        raise FormError(f"counts that sum to {size[0]} x {size[1]} in the segmentation of {where}", counts)
    return RLE((size[0], size[1]), counts)


def _whole(values: list[object]) -> bool:
    return all(type(value) is int and 0 <= value < 2**32 for value in values)


def _decode(text: str, where: str) -> list[int]:
    """Decode COCO's compressed counts.

    A number is written in groups of five bits, the lowest first, in two's complement; a character
    is 48 + a group, + 32 if more groups follow. From the fourth count on, the number is the
    difference to the count before the last (rleFrString in pycocotools' maskApi.c).
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:  # seven groups hold any difference of 32-bit counts
            raise FormError(f"COCO's compressed counts in {where}", text)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            sign = (bits & 16) >> 4 << shift
            counts.append(value - sign + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise FormError(f"more characters after the last of the compressed counts in {where}", text)
    return counts


def _voc(data: bytes) -> list[Annotation]:
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  # expat refuses bombs; entities of files are not followed
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the latter two: encodings
        raise FormError("XML", error) from error
    if root.tag != "annotation":
        raise FormError("<annotation> as the outermost element", root.tag)
    file = _text(root, "filename", "the file")
    things = [(f"object {number}", thing) for number, thing in enumerate(root.findall("object"), 1)]
    easy = [(where, thing) for where, thing in things if (thing.findtext("difficult") or "").strip() != "1"]
    return [_voc_object(thing, file, where) for where, thing in easy]


def _voc_object(thing: ElementTree.Element, file: str, where: str) -> Annotation:
    corners = [f"bndbox/{corner}" for corner in ("xmin", "ymin", "xmax", "ymax")]
    x0, y0, x1, y1 = (_number(_text(thing, corner, where), where) for corner in corners)
    box = _box(x0 - 1, y0 - 1, x1, y1, where)  # pixels are counted from 1, and the last is included
    return Annotation(file, _text(thing, "name", where), None, box)


def _text(element: ElementTree.Element, path: str, where: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise FormError(f"<{path}> of {where}", text)
    return text


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise FormError(f"numbers as the box of {where}", text) from None


def _csv(data: bytes) -> list[Annotation]:
    rows = list(parse_rows(data, "path,class,x0,y0,x1,y1"))
    if rows and _is_header(rows[0][1]):
        del rows[0]
    annotations = []
    for where, (file, category, *corners) in rows:
        x0, y0, x1, y1 = (_number(corner, where) for corner in corners)
        annotations.append(Annotation(file, category, None, _box(x0, y0, x1, y1, where)))
    return annotations


def _is_header(fields: list[str]) -> bool:
    """Tell a header: none of the four corners is a number."""
    for field in fields[2:]:
        try:
            float(field)
        except ValueError:
            continue
        return False
    return True


FORMATS = {".json": _coco, ".xml": _voc, ".csv": _csv}
