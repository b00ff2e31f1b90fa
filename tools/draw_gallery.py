"""Draw the pictures of docs/gallery.md: methods, kinds of output, ways to blend, and color maps.

Usage:
    python tools/draw_gallery.py [DIR]

Runs gradcam with `lite0` on three sample images. Writes a strip of the results for each row of the page into DIR, by
default docs/gallery. Score-CAM and occlusion take some minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from gradcam_cli.methods.registry import LAYER_METHODS, METHODS

ROOT = Path(__file__).parent.parent
PHOTOS = ("chelsea.png", "coffee.png", "grace_hopper.jpg")
HEIGHT, GAP, QUALITY = 150, 6, 85
METHOD_STRIPS = {
    name.replace("+", "plus"): ("--method", name) for name in LAYER_METHODS if METHODS[name].kind != "attention"
}
"""Attention methods require a transformer."""
COLORMAP_STRIPS = {f"cmap-{name}": ("--cmap", name) for name in ("jet", "turbo", "viridis", "inferno", "gray")}
STRIPS = METHOD_STRIPS | COLORMAP_STRIPS
"""Options of each strip of overlays, by the name of its file."""


def main() -> None:
    """Write all strips."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs/gallery"
    target.mkdir(exist_ok=True)
    for name, options in STRIPS.items():
        write_strip(draw(*options), target / f"{name}.jpg")
        print(name)


def draw(*options: str) -> list[Image.Image]:
    """Return the overlays of the photos."""
    with tempfile.TemporaryDirectory() as directory:
        photos = [str(ROOT / "sample_images" / photo) for photo in PHOTOS]
        output = ("--save", "overlay", "-o", directory)
        command = [sys.executable, "-m", "gradcam_cli", *photos, "--model", "lite0", *output, *options, "--quiet"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        files = [next(Path(directory).rglob(f"{Path(photo).stem}_*.png")) for photo in PHOTOS]
        return [Image.open(file).convert("RGB") for file in files]


def write_strip(pictures: list[Image.Image], path: Path) -> None:
    """Write pictures of equal height side by side."""
    cells = [picture.resize((round(picture.width * HEIGHT / picture.height), HEIGHT)) for picture in pictures]
    strip = Image.new("RGB", (sum(cell.width for cell in cells) + GAP * (len(cells) - 1), HEIGHT), "white")
    lefts = np.cumsum([0, *(cell.width + GAP for cell in cells[:-1])])
    for cell, left in zip(cells, lefts, strict=True):
        strip.paste(cell, (int(left), 0))
    strip.save(path, quality=QUALITY)


if __name__ == "__main__":
    main()
