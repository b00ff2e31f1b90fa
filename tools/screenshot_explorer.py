"""Write the screenshot of the page of `gradcam serve` in the documentation.

Usage:
    python tools/screenshot_explorer.py [DIR]

Runs the server with `lite0` and the sample images, opens two maps of the cat Chelsea in Chromium with Playwright, and
writes explorer.jpg into DIR, by default docs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page
from screenshot_report import ROOT, write_screenshot

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
                write_screenshot(address + VIEW, target / "explorer.jpg", (1280, 760), point_at_a_map)
            finally:
                server.terminate()


def point_at_a_map(page: Page) -> None:
    """Wait until the maps and the strip are drawn, and point at the first picture."""
    page.locator(".frame[aria-label^='Map:']").nth(1).wait_for(timeout=60000)
    page.wait_for_load_state("networkidle", timeout=60000)
    page.locator(".frame").first.hover(position={"x": 190, "y": 100})


if __name__ == "__main__":
    main()
