"""Boxes and segmentations from COCO files."""

from __future__ import annotations

from typing import TypeVar

from gradcam_cli.evaluation.annotations.masks import RLE, Annotation, Segmentation
from gradcam_cli.evaluation.annotations.parsing import FormatError, checked_box, finite_floats, parse_json

KINDS: dict[type, str] = {int: "a whole number", str: "text", list: "a list"}
T = TypeVar("T")


def parse_coco(data: bytes) -> list[Annotation]:
    """Return the annotations of a COCO instances file, without crowds and empty boxes."""
    document = parse_json(data)
    images, categories = _names_by_id(document, "images", "file_name"), _names_by_id(document, "categories", "name")
    annotations = []
    for number, entry in enumerate(_require(document, "annotations", list, "the file")):
        where = f"annotations[{number}]"
        category = _require(entry, "category_id", int, where)
        image = _require(entry, "image_id", int, where)
        if image not in images:
            raise FormatError(f"the id of one of the images as image_id of {where}", image)
        if category not in categories:
            raise FormatError(f"the id of one of the categories as category_id of {where}", category)
        if entry.get("iscrowd") not in (0, 1, None):
            raise FormatError(f"0 or 1 as iscrowd of {where}", entry["iscrowd"])
        if entry.get("iscrowd") != 1:
            box = _coco_box(entry.get("bbox"), where)
            segmentation = _segmentation(entry.get("segmentation"), where)
            if box:
                annotations.append(Annotation(images[image], categories[category], category, box, segmentation))
    return annotations


def _names_by_id(document: object, key: str, name_key: str) -> dict[int, str]:
    """Return the names in one of COCO's lists by their unique ids."""
    entries = _require(document, key, list, "the file")
    positions = [f"{key}[{number}]" for number in range(len(entries))]
    names = {
        _require(entry, "id", int, where): _require(entry, name_key, str, where)
        for entry, where in zip(entries, positions, strict=True)
    }
    if len(names) < len(entries):
        raise FormatError(f"{len(entries)} different ids of {key}", len(names))
    return names


def _require(entry: object, key: str, expected_type: type[T], where: str) -> T:
    if not isinstance(entry, dict):
        raise FormatError(f"an object as {where}", entry)
    value = entry.get(key)
    if not isinstance(value, expected_type) or isinstance(value, bool):
        raise FormatError(f"{KINDS[expected_type]} as {key} of {where}", value)
    return value


def _coco_box(value: object, where: str) -> tuple[float, ...] | None:
    """Return a box, or None if its width or height is 0, which occurs in COCO's own files."""
    numbers = finite_floats(value)
    if numbers is None or len(numbers) != 4:
        raise FormatError(f"four finite numbers as bbox of {where}", value)
    x, y, width, height = numbers
    return checked_box((x, y, x + width, y + height), where) if width and height else None


def _segmentation(value: object, where: str) -> Segmentation:
    if isinstance(value, list):
        return [_polygon(polygon, where) for polygon in value] or None
    return None if value is None else _rle(value, where)


def _polygon(value: object, where: str) -> list[float]:
    numbers = finite_floats(value)
    if numbers is None or len(numbers) < 6 or len(numbers) % 2:
        raise FormatError(f"three or more points of finite numbers x, y as a polygon of {where}", value)
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

    A number in two's complement is split into groups of five bits, the lowest first. A character is 48 + the
    group, + 32 if more groups follow. From the fourth count on, the number is the difference to the count
    two positions before (rleFrString in pycocotools' maskApi.c).
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:  # seven groups can encode any difference of 32-bit counts
            raise FormatError(f"compressed counts in {where}", text)
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            sign = (bits & 16) >> 4 << shift
            counts.append(value - sign + (counts[-2] if len(counts) > 2 else 0))
            value = shift = 0
    if shift:
        raise FormatError(f"compressed counts that end with a complete number in {where}", text)
    return counts
