"""The browser of the browser tests: Chromium, driven by Playwright."""

import contextlib
import os
import shutil

import pytest

PROGRAMS = ["chromium", "chromium-browser", "google-chrome"]
CHROMIUM = os.environ.get("GRADCAM_CHROMIUM") or next(filter(None, map(shutil.which, PROGRAMS)), None)
FLAGS = [
    *["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
    *["--disable-component-update", "--disable-sync", "--disable-quic"],
]


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not CHROMIUM:
        pytest.skip("Chromium is not on the PATH, and GRADCAM_CHROMIUM is not set")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@contextlib.contextmanager
def page_opener(browser, directory):
    """Open `index.html` of a directory; it must log no error and request nothing outside the directory.

    Yields a function of the fragment of the address and of the options of a browser context.
    """
    contexts, messages, requests = [], [], []

    def open_page(fragment="", **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(5000)
        page.on("console", lambda message: message.type in ("error", "warning") and messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{(directory / 'index.html').as_uri()}{fragment}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in messages if "willReadFrequently" not in text] == []  # of tests that read pixels
    assert [url for url in requests if not url.startswith((directory.as_uri() + "/", "data:,"))] == []
