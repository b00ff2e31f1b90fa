"""Boxes and outlines that people drew in photos, read from COCO, Pascal VOC or CSV."""

from __future__ import annotations

from typing import TypeVar

from gradcam_cli.evaluation.annotations.masks import RLE, Annotation, Segmentation
from gradcam_cli.evaluation.annotations.parsing import FormatError, checked_box, finite_floats, parse_json

KINDS: dict[type, str] = {int: "a whole number", str: "text", list: "a list"}
T = TypeVar("T")


def parse_coco(data: bytes) -> list[Annotation]:
    document = parse_json(data)
    photos, categories = _names_by_id(document, "images", "file_name"), _names_by_id(document, "categories", "name")
    annotations = []
    for number, entry in enumerate(_require(document, "annotations", list, "the file")):
        where = f"annotations[{number}]"
        category = _require(entry, "category_id", int, where)
        photo = _require(entry, "image_id", int, where)
        if photo not in photos:
            raise FormatError(f"the id of one of the images as image_id of {where}", photo)
        if category not in categories:
            raise FormatError(f"the id of one of the categories as category_id of {where}", category)
        if entry.get("iscrowd") not in (0, 1, None):
            raise FormatError(f"0 or 1 as iscrowd of {where}", entry["iscrowd"])
        if entry.get("iscrowd") != 1:
            box, outline = _coco_box(entry.get("bbox"), where), _segmentation(entry.get("segmentation"), where)
            if box:
                annotations.append(Annotation(photos[photo], categories[category], category, box, outline))
    return annotations


def _names_by_id(document: object, key: str, name_key: str) -> dict[int, str]:
    """Return the names in a list of COCO's by their ids, which are unique."""
    entries = _require(document, key, list, "the file")
    wheres = [f"{key}[{number}]" for number in range(len(entries))]
    names = {
        _require(entry, "id", int, where): _require(entry, name_key, str, where)
        for entry, where in zip(entries, wheres, strict=True)
    }
    if len(names) < len(entries):
        raise FormatError(f"another id for each of the {len(entries)} {key}", len(names))
    return names


def _require(entry: object, key: str, expected_type: type[T], where: str) -> T:
    if not isinstance(entry, dict):
        raise FormatError(f"an object as {where}", entry)
    value = entry.get(key)
    if not isinstance(value, expected_type) or isinstance(value, bool):
        raise FormatError(f"{KINDS[expected_type]} as {key} of {where}", value)
    return value


def _coco_box(value: object, where: str) -> tuple[float, float, float, float] | None:
    """Return a box, or None for one without width or height: COCO's own files hold such."""
    numbers = finite_floats(value)
    if numbers is None or len(numbers) != 4:
        raise FormatError(f"four finite numbers as bbox of {where}", value)
    x, y, width, height = numbers
    return checked_box(x, y, x + width, y + height, where) if width and height else None


def _segmentation(value: object, where: str) -> Segmentation:
    if isinstance(value, list):
        return [_polygon(polygon, where) for polygon in value] or None
    return None if value is None else _rle(value, where)


def _polygon(value: object, where: str) -> list[float]:
    numbers = finite_floats(value)
    if numbers is None or len(numbers) < 6 or len(numbers) % 2:
        raise FormatError(f"three or more points x, y of finite numbers as a polygon of {where}", value)
    return numbers


def _rle(value: object, where: str) -> RLE:
    size = _require(value, "size", list, f"the segmentation of {where}")
    counts = value.get("counts") if isinstance(value, dict) else None
    if isinstance(counts, str):
        counts = _decode_rle(counts, where)
    if len(size) != 2 or not _are_counts(size):
        raise FormatError(f"[height, width] as the segmentation's size of {where}", size)
    if not isinstance(counts, list) or not _are_counts(counts) or sum(counts) != size[0] * size[1]:
        raise FormatError(f"counts that sum to {size[0]} x {size[1]} in the segmentation of {where}", counts)
    return RLE((size[0], size[1]), counts)


def _are_counts(values: list[object]) -> bool:
    return all(type(value) is int and 0 <= value < 2**32 for value in values)


def _decode_rle(text: str, where: str) -> list[int]:
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
            raise FormatError(f"COCO's compressed counts in {where}", text)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            sign = (bits & 16) >> 4 << shift
            counts.append(value - sign + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise FormatError(f"more characters after the last of the compressed counts in {where}", text)
    return counts
