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
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from gradcam_cli.methods.registry import LAYER_METHODS, METHODS

ROOT = Path(__file__).parent.parent
PHOTOS = ("chelsea.png", "coffee.png", "grace_hopper.jpg")
HEIGHT, FIGURE_HEIGHT, GAP, QUALITY = 150, 300, 6, 85
SEVERAL_LAYERS = ("--layer", "block6a_expand_conv", "--layer", "top_conv")
METHOD_STRIPS = {
    f"method-{name.replace('+', 'plus')}": (
        "--method",
        name,
        *(SEVERAL_LAYERS if METHODS[name].kind == "layers" else ()),
    )
    for name in LAYER_METHODS
    if METHODS[name].kind != "attention"
}
"""Attention methods require a transformer."""
PICTURE_STRIPS = {
    "kind-heatmap": ("--save", "heatmap"),
    "blend-constant": ("--blend", "constant"),
    "background-gray": ("--background", "gray"),
    "contour": ("--contour", "0.5", "--contour", "0.25"),
    **{f"cmap-{name}": ("--cmap", name) for name in ("viridis", "inferno", "turbo", "jet")},
}
STRIPS = METHOD_STRIPS | PICTURE_STRIPS
"""Options of each strip, by the name of its file; the kind of output is `overlay` if the options name none."""
SINGLE_PICTURES = {
    "kind-figure": ("--save", "figure"),
    "kind-grid": ("--save", "grid", "--class", "top2", "--method", "gradcam", "--method", "layercam"),
    "kind-difference": ("--save", "difference", "--class", "top", "--class", "truth"),
}
"""Options of the pictures of the first photo."""
TRUTH = "image,class\nchelsea.png,tabby\n"
"""A true class of the first photo that differs from the predicted class."""


def main() -> None:
    """Write all strips and pictures."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs/gallery"
    target.mkdir(exist_ok=True)
    for name, options in STRIPS.items():
        write_strip(draw(PHOTOS, options), HEIGHT, target / f"{name}.jpg")
    for name, options in SINGLE_PICTURES.items():
        write_strip(draw(PHOTOS[:1], options), FIGURE_HEIGHT, target / f"{name}.jpg")


def draw(photos: Sequence[str], options: Sequence[str]) -> list[Image.Image]:
    """Return the pictures that gradcam draws of photos."""
    with tempfile.TemporaryDirectory() as directory:
        truth, output = Path(directory, "truth.csv"), Path(directory, "maps")
        truth.write_text(TRUTH)
        inputs = [str(ROOT / "sample_images" / photo) for photo in photos]
        arguments = [*inputs, "--model", "lite0", "-o", str(output), "--quiet", *options]
        arguments += ["--truth", str(truth)] if "truth" in options else []
        arguments += [] if "--save" in options else ["--save", "overlay"]
        subprocess.run([sys.executable, "-m", "gradcam_cli", *arguments], check=True, stdout=subprocess.DEVNULL)
        return [Image.open(next(output.rglob(f"{Path(photo).stem}_*.png"))).convert("RGB") for photo in photos]


def write_strip(pictures: Sequence[Image.Image], height: int, path: Path) -> None:
    """Write pictures side by side, at one height."""
    cells = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures]
    strip = Image.new("RGB", (sum(cell.width + GAP for cell in cells) - GAP, height), "white")
    left = 0
    for cell in cells:
        strip.paste(cell, (left, 0))
        left += cell.width + GAP
    strip.save(path, quality=QUALITY)


if __name__ == "__main__":
    main()
