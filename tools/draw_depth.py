"""Draw the README's picture of maps along the depth of an ODE-Net: docs/digits_depth.png.

Usage:
    python tools/draw_depth.py [FOLDER]

FOLDER holds what `gradcam neuralode train --data digits -o digits.keras --samples digits` leaves; without it, that is
done first, which takes two to four minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent.parent / "docs/digits_depth.png"
WIDTH = 900
COLOURS = 256


def main() -> None:
    """Train if need be, explain a seven, and write the strip small."""
    with tempfile.TemporaryDirectory() as empty:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else empty)
        if not (folder / "digits.keras").exists():
            gradcam(folder, "train", "--data", "digits", "-o", "digits.keras", "--samples", "digits")
        strip = Path(empty) / "strip.png"
        gradcam(folder, "explain", "digits/7.png", "--model", "digits.keras", "-o", str(strip))
        with Image.open(strip) as drawn:
            small = drawn.convert("RGB").resize((WIDTH, round(WIDTH * drawn.height / drawn.width)))
        small.quantize(COLOURS).save(TARGET, optimize=True)


def gradcam(folder: Path, *words: str) -> None:
    """Run a command of `gradcam neuralode` in a folder."""
    subprocess.run([sys.executable, "-m", "gradcam_cli", "neuralode", *words, "--quiet"], cwd=folder, check=True)


if __name__ == "__main__":
    main()
