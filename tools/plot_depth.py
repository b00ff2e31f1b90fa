"""Draw the figure of maps along the depth of an ODE-Net in the README and the documentation: docs/digits_depth.png.

Usage:
    python tools/plot_depth.py [DIR]

DIR contains the files of `gradcam neuralode train --data digits -o digits.keras --export-samples digits`. Without
DIR, the script trains this network first, which takes two to four minutes.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parent.parent / "docs/digits_depth.png"
WIDTH = 1000


def main() -> None:
    """Train a network if necessary, explain an image of a four, and write a small copy of the figure."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
        if not (directory / "digits.keras").exists():
            gradcam(directory, "train", "--data", "digits", "-o", "digits.keras", "--export-samples", "digits")
        path = Path(temporary) / "depth.png"
        gradcam(directory, "explain", "digits/4.png", "--model", "digits.keras", "-o", str(path))
        with Image.open(path) as figure:
            small = figure.convert("RGB").resize((WIDTH, round(WIDTH * figure.height / figure.width)))
        small.save(TARGET, optimize=True)


def gradcam(directory: Path, *arguments: str) -> None:
    """Run a command of `gradcam neuralode` in a directory."""
    subprocess.run([sys.executable, "-m", "gradcam_cli", "neuralode", *arguments, "--quiet"], cwd=directory, check=True)


if __name__ == "__main__":
    main()
