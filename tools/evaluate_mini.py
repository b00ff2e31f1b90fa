"""Evaluate the built-in model on test images, and write the results to gradcam_cli/models/data/mini.json.

Usage: python tools/evaluate_mini.py DATA

The directory DATA contains cifar10_jpeg.zip (with test/<class>/*.jpg) and images/pets/*.jpg. The file name of each pet
begins with its breed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from scipy import ndimage
from train_mini import read_images

from gradcam_cli import Classifier, explain, load_model
from gradcam_cli.images.fit import FIT_MODES
from gradcam_cli.models.mini import SIDE

ROOT = Path(__file__).parent.parent
CARD = ROOT / "gradcam_cli/models/data/mini.json"
CATS = ("Egyptian_Mau", "Persian", "Siamese")


def accuracy(mini: Classifier, images: np.ndarray, classes: np.ndarray) -> float:
    """Return the top-1 accuracy on images (n, 32, 32, 3)."""
    predicted = mini.model.predict(mini.preprocess(images), verbose=0, batch_size=256).argmax(1)
    return float((predicted == classes).mean())


def cat_or_dog_correct(mini: Classifier, directory: Path, fit: str) -> list[bool]:
    """Return for each image of a pet whether its class, cat or dog, has the higher logit of the two."""
    correct = []
    for path in sorted(directory.glob("*.jpg")):
        scores = {
            prediction.name: prediction.logit or 0.0
            for prediction in explain(path, mini, "block5_conv4", top_k=10, fit=fit).predictions
        }
        correct.append((scores["cat"] > scores["dog"]) == path.name.startswith(CATS))
    return correct


def draw_background(rng: np.random.Generator) -> np.ndarray:
    """Draw a uniform, gradient, striped, smooth or noisy background, (64, 64, 3) uint8."""
    size = 2 * SIDE
    first, second = rng.integers(0, 256, (2, 3))
    ramp = np.add.outer(np.arange(size) * rng.normal(), np.arange(size) * rng.normal())
    kinds = (
        np.zeros((size, size)),
        (ramp - ramp.min()) / max(float(np.ptp(ramp)), 1),
        0.5 + 0.5 * np.sin(ramp),
        ndimage.zoom(rng.uniform(size=(8, 8)), size / 8, order=1),
        rng.uniform(size=(size, size)),
    )
    weight = kinds[rng.integers(len(kinds))][..., None]
    return np.asarray((first + weight * (second - first)).clip(0, 255).astype(np.uint8))


def pointing_game(mini: Classifier, images: np.ndarray, classes: np.ndarray, num_images: int = 500) -> list[bool]:
    """Paste images at random positions on backgrounds; return for each correct prediction whether the peak is on it."""
    rng, hits = np.random.default_rng(0), []
    for index in rng.permutation(len(images)):
        y, x = rng.integers(0, SIDE + 1, 2)
        image = draw_background(rng)
        image[y : y + SIDE, x : x + SIDE] = images[index]
        explanation = explain(image, mini, "block5_conv4")
        if explanation.prediction.index == classes[index]:
            peak_x, peak_y = explanation.peak or (-1, -1)
            hits.append(bool(x <= peak_x < x + SIDE and y <= peak_y < y + SIDE))
        if len(hits) == num_images:
            break
    return hits


def main(data: Path) -> None:
    """Evaluate, print the results, and write them to the card."""
    mini = load_model("mini")
    images, classes = read_images(data / "cifar10_jpeg.zip", "test")
    chelsea = explain(ROOT / "sample_images/chelsea.png", mini)
    measured = {
        "test_accuracy": accuracy(mini, images, classes),
        "cat_or_dog_accuracy_on_80_pets": {
            fit: float(np.mean(cat_or_dog_correct(mini, data / "images/pets", fit))) for fit in FIT_MODES
        },
        "pointing_game_on_pasted_images": float(np.mean(pointing_game(mini, images, classes))),
        "chelsea": {str(best.name): round(best.probability, 4) for best in chelsea.predictions[:3]},
    }
    print(json.dumps(measured, indent=2))
    card = {**json.loads(CARD.read_text("utf-8")), "measured": measured}
    CARD.write_text(json.dumps(card, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
