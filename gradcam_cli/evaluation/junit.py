"""JUnit XML, which CI systems read: a test case for every photo and for every threshold."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""


class JUnitCase(NamedTuple):
    """One test case.

    Attributes:
        group: its class name.
        name: of the photo or the threshold.
        failure: what was missed, or None.
        error: why it could not be tested, or None.
        output: what to know of it.
    """

    group: str
    name: str
    failure: str | None = None
    error: str | None = None
    output: str = ""


def encode_junit(suite: str, cases: Sequence[JUnitCase]) -> bytes:
    """Return the XML file of a suite of test cases."""
    failures, errors = sum(bool(case.failure) for case in cases), sum(bool(case.error) for case in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": str(errors)}
    root = ElementTree.Element("testsuites", counts)
    element = ElementTree.SubElement(root, "testsuite", {"name": suite, **counts})
    for case in cases:
        one = ElementTree.SubElement(
            element, "testcase", {"classname": case.group, "name": _replace_forbidden(case.name)}
        )
        for kind, message in (("failure", case.failure), ("error", case.error)):
            if message:
                ElementTree.SubElement(one, kind, {"message": _replace_forbidden(message)})
        if case.output:
            ElementTree.SubElement(one, "system-out").text = _replace_forbidden(case.output)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _replace_forbidden(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
