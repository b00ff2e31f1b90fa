"""JUnit files: counts, names, and what XML cannot hold."""

from xml.etree import ElementTree

from gradcam_cli.evaluation.junit import JUnitCase, encode_junit


def test_cases_and_counts():
    cases = [
        JUnitCase("photos", "a.jpg", output="pointing 1.0"),
        JUnitCase("photos", '<b>&".jpg', error="cannot be read"),
        JUnitCase("limits", "--fail-under pointing=0.9", failure="pointing: expected at least 0.9, got 0.5"),
    ]
    root = ElementTree.fromstring(encode_junit("gradcam", cases))
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("3", "1", "1")
    suite = root.find("testsuite")
    assert [case.attrib["name"] for case in suite] == ["a.jpg", '<b>&".jpg', "--fail-under pointing=0.9"]
    assert suite[0].find("system-out").text == "pointing 1.0"
    assert suite[1].find("error").attrib["message"] == "cannot be read"
    assert suite[2].find("failure").attrib["message"].startswith("pointing: expected")


def test_names_that_xml_cannot_hold():
    """Control characters and lone surrogates become replacement characters; the file stays readable."""
    data = encode_junit("gradcam", [JUnitCase("photos", "a\x00\x1b\udce9.jpg", output="\x0b")])
    assert ElementTree.fromstring(data)[0][0].attrib["name"] == "a\ufffd\ufffd\ufffd.jpg"
