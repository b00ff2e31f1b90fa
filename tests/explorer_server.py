"""A server of `gradcam serve` in a process of its own, and its page in a browser, for the browser tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect

ROOT = Path(__file__).parent.parent
SAMPLES = ROOT / "sample_images"
MAP = ".frame[aria-label^='Map:']"


@contextmanager
def run_server(*arguments):
    """Run `gradcam serve` and give its process and its address."""
    pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")
    command = [sys.executable, "-m", "gradcam_cli", "serve", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A directory of three photos, one with a name of markup, and of a damaged file; names sort by their numbers."""
    directory = tmp_path_factory.mktemp("photos")
    for source, name in {"chelsea": "a2", "coffee": "a10", "astronaut": "<img src=x onerror=pwned=1>"}.items():
        shutil.copy(SAMPLES / f"{source}.png", directory / f"{name}.png")
    (directory / "broken.png").write_bytes((SAMPLES / "coffee.png").read_bytes()[:300])
    return directory


@pytest.fixture(scope="module")
def server(photos):
    """The address of a server of the photos with the model `mini`."""
    with run_server(photos, "--model", "mini") as (_, address):
        yield address


@pytest.fixture
def open_page(browser):
    """Open an address in a context of its own; the page must log no error and request nothing from elsewhere.

    `routes` are handlers of requests, by the patterns of their addresses.
    """
    expect.set_options(timeout=20000)  # the first map of a layer takes seconds on a busy machine
    contexts, errors, requests = [], [], []

    def open_in_context(address, routes=(), **options):
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.set_default_timeout(20000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: _is_error(message) and errors.append(message.text))
        page.on("request", lambda request: requests.append((address, request.url)))
        for pattern, handler in dict(routes).items():
            page.route(pattern, handler)
        page.goto(address)
        return page

    yield open_in_context
    for context in contexts:
        for page in context.pages:
            page.unroute_all(behavior="ignoreErrors")
        context.close()
    assert errors == []
    elsewhere = [url for address, url in requests if not url.startswith((address.split("#")[0], "data:", "blob:"))]
    assert elsewhere == []


def _is_error(message):
    """Return whether a message of the console is more than that of a request which the server refused."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def shown(page, image=None):
    """Wait until a map is shown, of an image of this name, and return the page."""
    if image:
        page.locator("#title", has_text=image).wait_for()
    page.locator(MAP).first.wait_for(timeout=60000)
    return page
