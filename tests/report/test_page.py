"""The page of a report: its contents, and that no text of a run becomes markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.metadata import version

import pytest
from report_documents import INJECTIONS, document_with_text, make_document, make_entry, make_failure

from gradcam_cli.reporting import page


class ParsedPage(HTMLParser):
    """The tags with the names of their attributes, the contents of scripts and styles, and all other text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.contents, self.text = [], {}, ""
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))
        self._tag = dict(attributes).get("type", tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._tag = ""

    def handle_data(self, data):
        if self._tag:
            self.contents[self._tag] = self.contents.get(self._tag, "") + data
        else:
            self.text += data

    @property
    def words(self):
        return " ".join(self.text.split())


def parse(document):
    return ParsedPage(page.render(document))


@pytest.mark.parametrize("text", INJECTIONS)
def test_texts_never_become_markup(text):
    """Elements, attributes and scripts do not depend on the texts, and the embedded document contains the texts."""
    expected, parsed = parse(document_with_text("word")), parse(document_with_text(text))
    assert parsed.tags == expected.tags
    assert set(parsed.contents) == {"style", "application/json", "module"}
    assert json.loads(parsed.contents["application/json"]) == document_with_text(text)
    assert parsed.contents["module"] == expected.contents["module"]
    assert parsed.text.count(text.replace("\udce9", "\\udce9")) == expected.text.count("word")


def test_policy_allows_only_the_page_style_and_script():
    """The hashes in the Content-Security-Policy are those of the style sheet and the script in the page."""
    html = page.render(make_document([make_entry()]))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1]
    policy = policy.replace("&#39;", "'").replace("&#43;", "+")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    for name in ("default-src", "base-uri", "form-action"):
        assert rules[name] == "'none'"
    contents = ParsedPage(html).contents
    for rule, tag in (("script-src", "module"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(contents[tag].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_page_loads_nothing_from_the_network():
    """The only URL in the page is the name of the SVG namespace."""
    html = page.render(make_document([make_entry()]))
    assert set(re.findall(r"\w+://[^\"'\s]*", html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|innerHTML|\bstyle=", html)


def test_first_bytes_name_the_generator():
    start = page.render(make_document()).encode()[:500].decode(errors="ignore")
    assert f'<meta name="generator" content="gradcam {version("gradcam-cli")}">' in start


def test_equal_documents_give_equal_pages():
    assert page.render(make_document([make_entry()])) == page.render(make_document([make_entry()]))


def test_summary_needs_no_script():
    """Settings, versions, counts, time, tables and the command line are in the HTML."""
    document = make_document(
        [make_entry()],
        command_line="gradcam photos --report",
        start="2026-11-21T10:00:00+00:00",
        seconds=125.2,
        settings=[["model", "mini"]],
        versions=[["keras", "3.12"]],
        tables=[{"title": "Means", "columns": ["map", "deletion"], "rows": [["gradcam", "0.123"]]}],
    )
    words = parse(document).words
    for part in (
        "gradcam photos --report",
        "2026-11-21 10:00:00 UTC",
        "2 min 5 s",
        "model mini",
        "keras 3.12",
        "Means",
    ):
        assert part in words
    assert "1 explained · 2026-11-21" in words


def test_header_names_the_model_and_counts_only_what_there_is():
    document = make_document([make_entry()], verb="compared", model="mini", counts={"ok": 1, "failed": 2, "skipped": 0})
    words = parse(document).words
    assert "1 compared · 2 failed · mini Gallery" in words


def test_summary_lists_threshold_results():
    results = [{"threshold": "road=0.9", "failure": "got 0.5"}, {"threshold": "deletion=0.3", "failure": None}]
    html = page.render(make_document(threshold_results=results))
    assert html.count('data-passed="no"') == html.count('data-passed="yes"') == 1
    assert re.search(r'data-passed="no".*road=0\.9.*got 0\.5.*data-passed="yes".*deletion=0\.3', html, re.DOTALL)


def test_summary_lists_the_first_fifty_failures():
    """All failures are in the gallery, which the summary links to."""
    failures = [make_failure(f"{number}.png", f"error {number}.") for number in range(60)]
    html = page.render(make_document([make_entry(), *failures]))
    text = ParsedPage(html).text
    assert "error 49." in text
    assert "error 50." not in text
    assert 'href="#entry=2">0.png<' in html
    assert 'href="#status=failed">' in html


def test_notice_of_an_incomplete_run_comes_first():
    text = parse(make_document(partial="interrupted: 1 of 2 inputs")).text
    assert text.index("interrupted: 1 of 2") < text.index("explained")


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "unknown"), (0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (7260, "2 h 1 min")]
)
def test_duration_has_readable_units(seconds, text):
    assert f"<dd>{text}</dd>" in page.render(make_document(seconds=seconds))


def test_not_a_number_is_refused():
    """Browsers cannot parse JSON with NaN."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        page.render(make_document([make_entry(probability=float("nan"))]))
