"""One walk through the page in a browser, for `make test`; the other browser tests are extended."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.slow
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect


def test_search_open_and_return(open_report, gallery_document):
    """The gallery filters, a card opens its image, and the browser's history leads back; no error is logged."""
    page = open_report(gallery_document)
    expect(page.locator("#cards a")).to_have_count(9)
    page.locator("#q").press_sequentially("img")
    expect(page.locator("#cards a")).to_have_count(3)
    page.locator("#cards a").nth(1).click()
    expect(page.locator("#name")).to_have_text("photos/img2.png")
    page.go_back()
    expect(page.locator("#q")).to_have_value("img")
