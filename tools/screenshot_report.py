"""Write the screenshots of the HTML report in the documentation: the gallery, one image, and a comparison.

Usage:
    python tools/screenshot_report.py [DIR]

Runs gradcam with `lite0` on the sample images and opens the reports in Chromium with Playwright. Writes
report_gallery.jpg, report_photo.jpg, report_comparison.jpg and report_swipe.jpg into DIR, by default docs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parent.parent
SIZE, QUALITY = (1200, 760), 82
VIEWS = {
    "gallery": "maps/index.html",
    "photo": "maps/index.html#entry=2&opacity=55",
    "comparison": "comparison/index.html#entry=2",
    "swipe": "comparison/index.html#entry=2&mode=swipe&divider=45",
}


def main() -> None:
    """Write the reports and their screenshots."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs"
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_reports(directory)
        for view, address in VIEWS.items():
            write_screenshot(f"file://{directory}/{address}", target / f"report_{view}.jpg")


def write_reports(directory: Path) -> None:
    """Explain the sample images with a report, and compare two runs."""
    shutil.copytree(ROOT / "sample_images", directory / "photos")
    model = ("--model", "lite0")
    methods = ("--method", "gradcam", "--method", "layercam")
    run(directory, "photos", *model, *methods, "--class", "top2", "--report", "-o", "maps")
    for name, fit in (("before", "squash"), ("after", "pad")):
        run(directory, "photos", *model, "--save", "npz", "--fit", fit, "-o", name)
    run(directory, "compare", "before", "after", "--report", "-o", "comparison")


def run(directory: Path, *arguments: str) -> None:
    """Run gradcam in a directory."""
    command = [sys.executable, "-m", "gradcam_cli", *arguments, "--quiet"]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)


def write_screenshot(
    address: str, path: Path, size: tuple[int, int] = SIZE, prepare: Callable[[Page], None] = lambda page: None
) -> None:
    """Open a page and write a screenshot of its visible part.

    Args:
        address: of the page.
        path: of the JPEG file.
        size: width and height of the window, in pixels.
        prepare: called with the page before the screenshot.
    """
    with sync_playwright() as driver:
        program = os.environ.get("GRADCAM_CHROMIUM") or shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": size[0], "height": size[1]})
        page.goto(address)
        page.wait_for_load_state("networkidle")
        prepare(page)
        page.screenshot(path=path, type="jpeg", quality=QUALITY)
        browser.close()


if __name__ == "__main__":
    main()
