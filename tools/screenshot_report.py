"""Take the README's pictures of the HTML report: gallery, one photo, and a comparison.

Usage:
    python tools/shoot_report.py

Runs the command with the built-in network on the sample photos and opens the reports in Chromium, which Playwright
drives. Written: docs/report_{gallery,photo,comparison}.jpg.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parent.parent
WIDTH, HEIGHT, QUALITY = 1200, 760, 82


def main() -> None:
    """Make the reports and take the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        shutil.copytree(ROOT / "sample_images", here / "photos")
        gradcam(
            here, "photos", "--class", "top2", "--method", "gradcam", "--method", "layercam", "--report", "-o", "maps"
        )
        for name, fit in (("before", "squash"), ("after", "pad")):
            gradcam(here, "photos", "--save", "npz", "--fit", fit, "-o", name)
        gradcam(here, "compare", "before", "after", "--report", "-o", "moved")
        pages = {"gallery": "maps/index.html", "photo": "maps/index.html#entry=2&opacity=55"}
        pages["comparison"] = "moved/index.html#entry=2"
        for name, address in pages.items():
            shoot(f"file://{here}/{address}", ROOT / "docs" / f"report_{name}.jpg")


def gradcam(here: Path, *words: str) -> None:
    """Run the command, with the built-in network unless two runs are compared."""
    model: Sequence[str] = () if words[0] == "compare" else ("--model", "mini")
    subprocess.run(
        [sys.executable, "-m", "gradcam_cli", *words, *model, "--quiet"],
        cwd=here,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def shoot(address: str, target: Path) -> None:
    """Open a page and write what is seen of it."""
    with sync_playwright() as driver:
        path = os.environ.get("GRADCAM_CHROMIUM") or shutil.which("chromium")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.wait_for_load_state("networkidle")
        page.screenshot(path=target, type="jpeg", quality=QUALITY)
        browser.close()


if __name__ == "__main__":
    main()
