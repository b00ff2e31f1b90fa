"""The file of `--class-map`: which class of the model each annotated category is."""

from __future__ import annotations

from pathlib import Path

from gradcam_cli.evaluation.annotations.matching import _class_selectors
from gradcam_cli.evaluation.annotations.parsing import FormatError, parse_csv, parse_file, parse_json


def read_class_map(path: Path) -> dict[str, list[str]]:
    """Read which of a model's classes an annotation's class means, as `resolve_classes` takes them.

    Args:
        path: a JSON object such as `{"dog": "Chihuahua", "cat": [281, "tiger cat"]}`, or lines of
            `dog,Chihuahua`, several for a class that means several.

    Raises:
        UsageError: the file cannot be read, has another form, or is empty.
    """
    return parse_file("class map", path, _parse_class_map)


def _parse_class_map(data: bytes) -> dict[str, list[str]]:
    meant: dict[str, list[str]] = {}
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        document = parse_json(data)
        if not isinstance(document, dict):
            raise FormatError("an object of classes", document)
        meant = {name: _class_selectors(value, name) for name, value in document.items()}
    else:
        for _, (name, request) in parse_csv(data, "annotation's class,model's class"):
            meant.setdefault(name, []).append(request)
    if not meant:
        raise FormatError("at least one class", meant)
    return meant
