"""The file of `--class-map`: the model's classes for each annotated category."""

from __future__ import annotations

from pathlib import Path

from gradcam_cli.evaluation.annotations.matching import class_selectors
from gradcam_cli.evaluation.annotations.parsing import FormatError, parse_csv, parse_file, parse_json


def read_class_map(path: Path) -> dict[str, list[str]]:
    """Read the model's classes for each annotated category, as `resolve_classes` accepts them.

    Args:
        path: a JSON object such as `{"dog": "Chihuahua", "cat": [281, "tiger cat"]}`, or CSV rows such as
            `dog,Chihuahua`; a category with several classes has several rows.

    Raises:
        UsageError: the file cannot be read, is malformed or empty.
    """
    return parse_file("class map", path, _parse_class_map)


def _parse_class_map(data: bytes) -> dict[str, list[str]]:
    class_map: dict[str, list[str]] = {}
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"{", b"[")):
        document = parse_json(data)
        if not isinstance(document, dict):
            raise FormatError("an object of classes", document)
        class_map = {name: class_selectors(value, name) for name, value in document.items()}
    else:
        for _, (name, selector) in parse_csv(data, "annotated,model"):
            class_map.setdefault(name, []).append(selector)
    if not class_map:
        raise FormatError("at least one class", class_map)
    return class_map
