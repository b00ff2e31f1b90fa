"""JUnit XML for CI systems: one test case per image and per threshold."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 does not allow, not even escaped."""


class JUnitCase(NamedTuple):
    """One test case.

    Attributes:
        group: class name of the test case.
        name: name of the image or the threshold.
        failure: messages of the failed thresholds, or None.
        error: why the image was not evaluated, or None.
        output: text of `system-out`.
    """

    group: str
    name: str
    failure: str | None = None
    error: str | None = None
    output: str = ""


def image_case(name: str, messages: Sequence[str], lines: Sequence[str]) -> JUnitCase:
    """Return the test case of an image: the messages of its failed thresholds, and the lines of its values."""
    return JUnitCase("images", name, failure="; ".join(messages) or None, output="\n".join(lines))


def threshold_cases(results: Mapping[str, str | None]) -> list[JUnitCase]:
    """Return the test cases of the thresholds: their messages if they failed, by text."""
    return [JUnitCase("thresholds", text, failure=message) for text, message in results.items()]


def encode_junit(suite: str, cases: Sequence[JUnitCase]) -> bytes:
    """Return the XML file of a test suite."""
    failures, errors = sum(bool(case.failure) for case in cases), sum(bool(case.error) for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    root = ElementTree.Element("testsuites", counts)
    suite_element = ElementTree.SubElement(root, "testsuite", {"name": suite, **counts})
    for case in cases:
        attributes = {"classname": case.group, "name": _replace_forbidden(case.name)}
        case_element = ElementTree.SubElement(suite_element, "testcase", attributes)
        for kind, message in (("failure", case.failure), ("error", case.error)):
            if message:
                ElementTree.SubElement(case_element, kind, {"message": _replace_forbidden(message)})
        if case.output:
            ElementTree.SubElement(case_element, "system-out").text = _replace_forbidden(case.output)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _replace_forbidden(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
