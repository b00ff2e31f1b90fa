"""The documentation site in a browser: search from disk, and pages as wide as a telephone."""

import pytest
from doc_blocks import PAGES

pytestmark = pytest.mark.extended

BROKEN_WORDS = """() => {
  const broken = [], nodes = document.createTreeWalker(document.querySelector(".md-content"), NodeFilter.SHOW_TEXT)
  for (let node; (node = nodes.nextNode()); ) {
    if (node.parentElement.closest("pre, math") || !node.parentElement.getClientRects().length) continue
    for (const word of node.data.matchAll(/\\w+/g)) {
      const range = document.createRange()
      range.setStart(node, word.index)
      range.setEnd(node, word.index + word[0].length)
      const lines = [...range.getClientRects()].filter((box) => box.width).map((box) => Math.round(box.top))
      if (new Set(lines).size > 1) broken.push(word[0])
    }
  }
  return broken
}"""


def page_name(page):
    return {"README.md": "index.html"}.get(page.name, f"{page.stem}.html")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_fit_a_telephone(browser, site, page):
    """At a width of 360 pixels, no page scrolls sideways, and no word is broken into two lines."""
    tab = browser.new_page(viewport={"width": 360, "height": 740})
    tab.goto((site / page_name(page)).as_uri())
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    assert tab.evaluate(BROKEN_WORDS) == []
    tab.close()


def test_search_from_disk(browser, site):
    """The results of a search link to the page and section with the words; nothing is requested from a server."""
    tab, requests, errors = browser.new_page(), [], []
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto((site / "index.html").as_uri())
    tab.keyboard.press("s")
    tab.keyboard.type("counterfactual")
    tab.wait_for_selector(".md-search-result__item")
    links = tab.locator(".md-search-result__link").evaluate_all("links => links.map((link) => link.href)")
    assert any(link.startswith((site / "choosing.html").as_uri()) for link in links)
    assert errors == []
    assert all(url.startswith(("file:", "data:", "blob:")) for url in requests)
    tab.close()
