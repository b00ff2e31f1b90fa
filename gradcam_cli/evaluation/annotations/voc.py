"""Boxes from Pascal VOC files."""

from __future__ import annotations

from xml.etree import ElementTree

from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.parsing import FormatError, checked_box


def parse_voc(data: bytes) -> list[Annotation]:
    """Return the annotations of a Pascal VOC file, without objects marked as difficult."""
    try:
        root = ElementTree.fromstring(data)  # noqa: S314  # expat limits entity expansion and reads no external entities
    except (ElementTree.ParseError, ValueError, LookupError) as error:  # the last two: unknown encodings
        raise FormatError("XML", error) from error
    if root.tag != "annotation":
        raise FormatError("<annotation> as the root element", root.tag)
    file = _xml_text(root, "filename", "the file")
    return [
        _voc_object(element, file, f"object {number}")
        for number, element in enumerate(root.findall("object"), 1)
        if (element.findtext("difficult") or "").strip() != "1"
    ]


def _voc_object(element: ElementTree.Element, file: str, where: str) -> Annotation:
    corners = [f"bndbox/{corner}" for corner in ("xmin", "ymin", "xmax", "ymax")]
    x0, y0, x1, y1 = (parse_float(_xml_text(element, corner, where), where) for corner in corners)
    box = checked_box((x0 - 1, y0 - 1, x1, y1), where)  # VOC counts pixels from 1 and includes the last
    return Annotation(file, _xml_text(element, "name", where), None, box)


def _xml_text(element: ElementTree.Element, path: str, where: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise FormatError(f"<{path}> of {where}", text)
    return text


def parse_float(text: str, where: str) -> float:
    """Return a coordinate of a box."""
    try:
        return float(text)
    except ValueError:
        raise FormatError(f"numbers as the box of {where}", text) from None
