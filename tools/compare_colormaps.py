"""Draw jet, turbo, inferno and viridis over photos, in color, in gray and as with deuteranopia: docs/colormaps.jpg.

Usage:
    python tools/compare_colormaps.py [FILE]

Each photo is drawn with its Grad-CAM map by `lite0`, with the default blend; the sixth picture is a photo with a map of
a method with a value for each pixel.
Prints, for pixels of the photos, color differences (CIE 1976) of the blended colors.

Sources:
    CIE 15:2004, section 8.2.1 (CIELAB, D65).
    Machado, Oliveira and Fernandes 2009, A Physiologically-based Model for Simulation of Color Vision Deficiency,
    table 1: deuteranomaly of severity 1.0. Its matrix applies to linear RGB.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gradcam_cli import Explanation, explain, load_model
from gradcam_cli.images.box import Box
from gradcam_cli.output.colors import overlay, to_gray
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.pipeline.captions import color_limit

ROOT = Path(__file__).parent.parent
PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "grace_hopper.jpg", "rocket.jpg")
COLORMAPS = ("jet", "turbo", "inferno", "viridis")
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
)
SRGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
NUM_PIXELS = 4000
"""Pixels of each photo that are measured."""
SIDE, GAP, MARGIN, FONT_SIZE = 150, 3, 130, 15


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """Return linear RGB of sRGB, both 0..1 (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Return sRGB of linear RGB, both 0..1."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def deuteranopia(pixels: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 pixels as a person without M cones sees them."""
    seen = to_linear(pixels / 255) @ DEUTERANOPIA.T
    return np.round(255 * to_srgb(seen.clip(0, 1))).astype(np.uint8)


def to_lab(pixels: np.ndarray) -> np.ndarray:
    """Return CIELAB of (n, 3) uint8 pixels."""
    xyz = to_linear(pixels / 255) @ SRGB_TO_XYZ.T / (SRGB_TO_XYZ.sum(axis=1))
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


VIEWS = {"color": lambda pixels: pixels, "gray": to_gray, "deuteranopia": deuteranopia}


def crop_square(array: np.ndarray) -> np.ndarray:
    """Return the central square of an image or a map, scaled to SIDE pixels."""
    side = min(array.shape[:2])
    top, left = ((length - side) // 2 for length in array.shape[:2])
    square = Image.fromarray(array[top : top + side, left : left + side])
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def clipped(explanation: Explanation) -> np.ndarray:
    """Return the heatmap as figures show it: in maps of pixels, the largest values are clipped."""
    limit = color_limit(explanation.heatmap, explanation.method, RenderOptions())
    return np.minimum(explanation.heatmap / np.float32(limit), 1)


def print_differences() -> None:
    """Print a table: median difference of maximum and half of it, in each view, and how often differences increase."""
    names, rng = (f"sample_images/{name}" for name in PHOTOS), np.random.default_rng(0)
    photos = [np.asarray(Image.open(ROOT / name).convert("RGB")).reshape(-1, 3) for name in names]
    pixels = np.concatenate([photo[rng.integers(0, len(photo), NUM_PIXELS)] for photo in photos])[np.newaxis]
    box = Box(0, 0, pixels.shape[1], 1)
    for cmap in COLORMAPS:
        values = (0.0, 0.25, 0.5, 0.75, 1.0)
        maps = [np.full(pixels.shape[:2], value, np.float32) for value in values]
        blended = [overlay(pixels, heatmap, box, RenderOptions(cmap=cmap)) for heatmap in maps]
        cells = []
        for view in VIEWS.values():
            colors = [to_lab(view(each)[0]) for each in blended]
            from_photo = [np.linalg.norm(color - colors[0], axis=1) for color in colors]
            increases = np.mean(np.all(np.diff(from_photo, axis=0) > 0, axis=0))
            contrast = np.median(np.linalg.norm(colors[4] - colors[2], axis=1))
            cells += [f"{contrast:.0f}", f"{increases:.0%}"]
        sys.stdout.write(f"| {cmap} | {' | '.join(cells)} |\n")


def main() -> None:
    """Write the picture."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs/colormaps.jpg"
    model = load_model("lite0")
    print_differences()
    photos = [explain(ROOT / "sample_images" / name, model) for name in PHOTOS]
    photos.append(explain(ROOT / "sample_images/chelsea.png", model, method="saliency"))
    scale = np.repeat(np.linspace(1, 0, SIDE, dtype=np.float32)[:, None], SIDE, axis=1)
    halves = np.full((SIDE, SIDE, 3), 255, np.uint8)
    halves[:, : SIDE // 2] = 0
    cells = [(crop_square(each.image), crop_square(clipped(each))) for each in photos] + [(halves, scale)]
    rows = [(cmap, view) for view in VIEWS for cmap in COLORMAPS]
    step = SIDE + GAP
    sheet = Image.new("RGB", (MARGIN + len(cells) * step, len(rows) * step), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    for i, (cmap, view) in enumerate(rows):
        draw.text((6, i * step + SIDE // 2 - FONT_SIZE), f"{cmap}\n{view}", fill="black", font=font)
        for j, (image, heatmap) in enumerate(cells):
            pixels = overlay(image, heatmap, Box(0, 0, SIDE, SIDE), RenderOptions(cmap=cmap))
            sheet.paste(Image.fromarray(VIEWS[view](pixels)), (MARGIN + j * step, i * step))
    sheet.save(target, quality=80)


if __name__ == "__main__":
    main()
