"""Write gradcam_cli/neuralode/training/data/digits.npz from scikit-learn's copy of the UCI handwritten digits.

Usage: python tools/make_digits.py     (requires scikit-learn)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

TARGET = Path(__file__).parent.parent / "gradcam_cli/neuralode/training/data/digits.npz"


def main() -> None:
    """Write images and labels in their order, one byte per pixel."""
    digits = load_digits()
    np.savez_compressed(TARGET, x=digits.images.astype(np.uint8), y=digits.target.astype(np.uint8))


if __name__ == "__main__":
    main()
