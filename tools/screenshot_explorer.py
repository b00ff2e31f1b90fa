"""Write the screenshot of the page of `gradcam serve` in the documentation.

Usage:
    python tools/screenshot_explorer.py [DIR]

Runs the server with `lite0` and the sample images, opens two maps of the cat Chelsea in Chromium with Playwright, and
writes explorer.jpg into DIR, by default docs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT, QUALITY = 1280, 760, 82
VIEW = "#image=1&methods=gradcam,layercam"


def main() -> None:
    """Write the screenshot."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs"
    with tempfile.TemporaryDirectory() as name:
        shutil.copytree(ROOT / "sample_images", Path(name) / "photos")
        command = [sys.executable, "-m", "gradcam_cli", "serve", "photos", "--model", "lite0", "--quiet"]
        with subprocess.Popen(command, cwd=name, stdout=subprocess.PIPE, text=True) as server:
            try:
                address = server.stdout.readline().strip() if server.stdout else ""
                write_screenshot(address + VIEW, target / "explorer.jpg")
            finally:
                server.terminate()


def write_screenshot(address: str, path: Path) -> None:
    """Open the page, point at the first picture, and write a screenshot of the visible part."""
    with sync_playwright() as driver:
        program = os.environ.get("GRADCAM_CHROMIUM") or shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.locator(".frame[aria-label^='Map:']").nth(1).wait_for(timeout=60000)
        page.wait_for_load_state("networkidle", timeout=60000)  # the strip is drawn
        page.locator(".frame").first.hover(position={"x": 190, "y": 100})
        page.screenshot(path=path, type="jpeg", quality=QUALITY)
        browser.close()


if __name__ == "__main__":
    main()
