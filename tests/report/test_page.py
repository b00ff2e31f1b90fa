"""The report's page: what is in it, and that no text of a run becomes markup."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.metadata import version

import pytest
from report_documents import HOSTILE, make_document, make_entry, make_failure

from gradcam_cli.report import page


class Outline(HTMLParser):
    """The tags with their attributes' names, the texts of script and style, and all other text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.inside, self.text = [], {}, ""
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, tuple(name for name, _ in attributes)))
        self._tag = dict(attributes).get("type", tag) if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self._tag = ""

    def handle_data(self, data):
        if self._tag:
            self.inside[self._tag] = self.inside.get(self._tag, "") + data
        else:
            self.text += data


def hostile_document(text):
    """Put one text wherever a document has texts."""
    one = make_entry(text, **{"class": text, "top": [[text, 0.5]], "missed": [text], "metrics": {text: 1.0}})
    one["maps"][0].update({"class": text, "layer": text, "method": text, "zero": text, "shell": text})
    one["maps"][0].update({"numbers": [[text, text]], "metrics": {text: 1.0}, "files": {text: "a.png"}})
    return make_document(
        [one, make_failure(text, error=text, hint=text)],
        line=text,
        partial=text,
        settings=[[text, text]],
        versions=[[text, text]],
        limits=[{"text": text, "missed": text}],
        tables=[{"title": text, "columns": [text, text], "rows": [[text, text]]}],
        plots=[{"title": text, "src": "report/plot.png", "width": 10, "height": 10}],
        metrics=[{"name": text, "title": text, "more_is_better": True}],
    )


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_stay_text(text):
    """The page has the same elements and attributes whatever its texts are, and holds the same document."""
    harmless, hostile = (Outline(page.render(hostile_document(word))) for word in ("word", text))
    assert hostile.tags == harmless.tags
    assert set(hostile.inside) == {"style", "application/json", "module"}
    assert json.loads(hostile.inside["application/json"]) == hostile_document(text)
    assert hostile.inside["module"] == harmless.inside["module"]
    assert hostile.text.count(text.replace("\udce9", "\\udce9")) == harmless.text.count("word")


def test_policy_allows_only_the_own_style_and_script():
    """The hashes in the Content-Security-Policy are those of what stands in the page."""
    html = page.render(make_document([make_entry()]))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)[1]
    policy = policy.replace("&#39;", "'").replace("&#43;", "+")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert {name: rules[name] for name in ("default-src", "base-uri", "form-action")} == dict.fromkeys(
        ("default-src", "base-uri", "form-action"), "'none'"
    )
    inside = Outline(html).inside
    for rule, tag in (("script-src", "module"), ("style-src", "style")):
        digest = base64.b64encode(hashlib.sha256(inside[tag].encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_page_asks_for_nothing_elsewhere():
    """No address of a network stands in the page, but the name of SVG's namespace."""
    html = page.render(make_document([make_entry()]))
    assert set(re.findall(r"\w+://[^\"'\s]*", html)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|url\(|innerHTML|\bstyle=", html)


def test_generator_stands_at_the_start():
    """The first bytes say which program wrote the page."""
    start = page.render(make_document()).encode()[:500].decode(errors="ignore")
    assert f'<meta name="generator" content="gradcam {version("gradcam-cli")}">' in start


def test_same_document_same_page():
    """Rendering twice gives the same bytes."""
    assert page.render(make_document([make_entry()])) == page.render(make_document([make_entry()]))


def test_summary_tells_the_run():
    """Settings, versions, counts, time, tables and the command line are in the page without any script."""
    document = make_document(
        [make_entry()],
        line="gradcam photos --report",
        started="2026-11-21T10:00:00+00:00",
        seconds=125.2,
        settings=[["model", "mini"]],
        versions=[["keras", "3.12"]],
        tables=[{"title": "Means", "columns": ["map", "drop"], "rows": [["gradcam", "0.123"]]}],
    )
    text = " ".join(Outline(page.render(document)).text.split())
    for part in (
        "gradcam photos --report",
        "2026-11-21 10:00:00 UTC",
        "2 min 5 s",
        "model mini",
        "keras 3.12",
        "Means",
    ):
        assert part in text
    assert "1 explained · 0 failed · 0 skipped" in text
    assert "Partial run" not in text


def test_summary_tells_limits():
    """A threshold is kept or missed in words, and a missed one says why."""
    limits = [{"text": "pointing=0.9", "missed": "got 0.5"}, {"text": "drop=0.3", "missed": None}]
    text = " ".join(Outline(page.render(make_document(limits=limits))).text.split())
    assert "✗ missed pointing=0.9 got 0.5" in text
    assert "✓ kept drop=0.3" in text


def test_summary_names_the_first_failures():
    """Fifty failures are named with their errors; the others are behind a link."""
    html = page.render(make_document([make_entry(), *(make_failure(f"{n}.png", f"error {n}.") for n in range(60))]))
    text = Outline(html).text
    assert "error 49." in text
    assert "error 50." not in text
    assert 'href="#entry=2">0.png<' in html
    assert 'href="#status=failed">All 60 failures' in html


def test_partial_run_is_announced_first():
    """What is missing stands before anything else."""
    text = Outline(page.render(make_document(partial="interrupted: 1 of 2 inputs were done"))).text
    assert text.index("interrupted: 1 of 2") < text.index("explained")


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, "unknown"), (0.04, "0.0 s"), (59.9, "59.9 s"), (60, "1 min 0 s"), (7260, "2 h 1 min")]
)
def test_duration(seconds, words):
    assert f"<dd>{words}</dd>" in page.render(make_document(seconds=seconds))


def test_numbers_that_json_cannot_hold():
    """Not-a-number is refused rather than written into a page that no browser can read."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        page.render(make_document([make_entry(p=float("nan"))]))
