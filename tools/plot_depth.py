"""Draw the README's figure of maps along the depth of an ODE-Net: docs/digits_depth.png.

Usage:
    python tools/plot_depth.py [FOLDER]

FOLDER contains the files of `gradcam neuralode train --data digits -o digits.keras --export-samples digits`. Without
FOLDER, the script trains this network first, which takes two to four minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent.parent / "docs/digits_depth.png"
WIDTH = 900
NUM_COLORS = 256


def main() -> None:
    """Train a network if necessary, explain an image of a seven, and write a small copy of the figure."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        if not (folder / "digits.keras").exists():
            gradcam(folder, "train", "--data", "digits", "-o", "digits.keras", "--export-samples", "digits")
        path = Path(temporary) / "depth.png"
        gradcam(folder, "explain", "digits/7.png", "--model", "digits.keras", "-o", str(path))
        with Image.open(path) as figure:
            small = figure.convert("RGB").resize((WIDTH, round(WIDTH * figure.height / figure.width)))
        small.quantize(NUM_COLORS).save(TARGET, optimize=True)


def gradcam(folder: Path, *arguments: str) -> None:
    """Run a command of `gradcam neuralode` in a folder."""
    subprocess.run([sys.executable, "-m", "gradcam_cli", "neuralode", *arguments, "--quiet"], cwd=folder, check=True)


if __name__ == "__main__":
    main()
