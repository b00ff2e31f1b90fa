"""JUnit XML: counts, names, and characters that XML does not allow."""

from xml.etree import ElementTree

from gradcam_cli.evaluation.junit import JUnitCase, encode_junit


def test_cases_and_counts():
    cases = [
        JUnitCase("images", "a.jpg", output="pointing-game 1.0"),
        JUnitCase("images", '<b>&".jpg', error="cannot be read"),
        JUnitCase("thresholds", "--fail-under pointing-game=0.9", failure="pointing-game 0.5 is below 0.9"),
    ]
    root = ElementTree.fromstring(encode_junit("gradcam", cases))
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("3", "1", "1")
    suite = root.find("testsuite")
    assert [case.attrib["name"] for case in suite] == ["a.jpg", '<b>&".jpg', "--fail-under pointing-game=0.9"]
    assert suite[0].find("system-out").text == "pointing-game 1.0"
    assert suite[1].find("error").attrib["message"] == "cannot be read"
    assert suite[2].find("failure").attrib["message"].startswith("pointing-game 0.5 is below")


def test_forbidden_characters_are_replaced():
    """Control characters and lone surrogates become replacement characters; the XML can be parsed."""
    data = encode_junit("gradcam", [JUnitCase("images", "a\x00\x1b\udce9.jpg", output="\x0b")])
    assert ElementTree.fromstring(data)[0][0].attrib["name"] == "a\ufffd\ufffd\ufffd.jpg"
