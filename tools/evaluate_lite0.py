"""Evaluate the built-in ImageNet classifier on photos, and write the results to gradcam_cli/models/data/lite0.json.

Usage: python tools/evaluate_lite0.py DATA

The directory DATA contains images/imagenet_labels.json, a JSON object of file names and class indices, and the photos
in images/imagenet.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from gradcam_cli import Classifier, explain, load_model
from gradcam_cli.images.fit import FIT_MODES

ROOT = Path(__file__).parent.parent
CARD = ROOT / "gradcam_cli/models/data/lite0.json"
SAMPLES = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "grace_hopper.jpg")


def correct(lite0: Classifier, data: Path, fit: str) -> list[bool]:
    """Return for each labeled photo whether its class has the highest score."""
    labels: dict[str, int] = json.loads((data / "images/imagenet_labels.json").read_text("utf-8"))
    photos = data / "images/imagenet"
    return [explain(photos / name, lite0, fit=fit).prediction.index == label for name, label in sorted(labels.items())]


def top_classes(lite0: Classifier, photo: Path) -> dict[str, float]:
    """Return the three classes of the highest probability."""
    return {str(best.name): round(best.probability, 4) for best in explain(photo, lite0).predictions[:3]}


def main(data: Path) -> None:
    """Evaluate, print the results, and write them to the card."""
    lite0 = load_model("lite0")
    results = {fit: correct(lite0, data, fit) for fit in FIT_MODES}
    measured = {
        "photos": len(next(iter(results.values()))),
        "correct": {fit: sum(hits) for fit, hits in results.items()},
        "samples": {name: top_classes(lite0, ROOT / "sample_images" / name) for name in SAMPLES},
    }
    print(json.dumps(measured, indent=2))
    card = {**json.loads(CARD.read_text("utf-8")), "measured": measured}
    CARD.write_text(json.dumps(card, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
