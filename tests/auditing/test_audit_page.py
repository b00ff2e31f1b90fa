"""The page of an audit: no text of a run becomes markup, and Chromium shows its pictures without an error."""

from dataclasses import replace

import chromium
import numpy as np
import pytest
from report_documents import INJECTIONS

from gradcam_cli.auditing.effect import Effect
from gradcam_cli.auditing.records import Audit, ClassAudit, ConceptRecord, Example, MarkRecord
from gradcam_cli.images.box import Box
from gradcam_cli.images.load import Failure
from gradcam_cli.reporting.audit_page import write_audit_page

browser = chromium.browser


def audit_with_text(text):
    """Return an audit of one class with a mark, with a text as every name."""
    gray = np.full((8, 8, 3), 128, np.uint8)
    effect = Effect(0.5, 0.25, 0.75)
    mark = MarkRecord(Box(1, 2, 4, 6), (text,), 0.1, 0, 1e-5, effect, 1, gray, (gray,))
    concept = ConceptRecord(1, effect, (Example(text, Box(0, 0, 8, 8), gray),))
    without_effect = replace(mark, effect=Effect(0, -1, 1), concept=None)
    audited, small = ClassAudit(1, text, 50, (concept,), (mark, without_effect)), ClassAudit(2, text, 3)
    return Audit(text, text, (audited, small), (Failure(text, text),))


@pytest.mark.parametrize("text", INJECTIONS)
def test_texts_never_become_markup(tmp_path, text):
    """The tags of the page do not depend on the texts."""

    def tags(word):
        html = write_audit_page(audit_with_text(word), tmp_path / "page", word).read_text()
        return html.count("<"), html.count(">"), html.count('"')

    assert tags(text) == tags("word")


@pytest.mark.slow
def test_chromium_shows_the_pictures(browser, tmp_path):
    """No error is logged, pictures have a size, and the page is not wider than the window of a phone."""
    path = write_audit_page(audit_with_text("word"), tmp_path / "page", "gradcam audit photos")
    page, messages = browser.new_page(viewport={"width": 390, "height": 800}), []
    page.on("console", lambda message: messages.append(message.text))
    page.goto(path.as_uri())
    page.locator("img").last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.images].every(image => image.complete && image.naturalWidth)")
    assert page.locator("img").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert messages == []
