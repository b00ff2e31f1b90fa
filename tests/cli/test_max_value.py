"""`--max-value` in the commands: the map, the record, the comparison and the note."""

import json

import numpy as np
import pytest
from PIL import Image

DARK = np.random.default_rng(3).integers(0, 4096, (40, 60), np.uint16)


@pytest.fixture
def images(tmp_path):
    """An image that uses 12 of 16 bits, and the same image with 8 bits."""
    Image.fromarray(DARK).save(tmp_path / "dark.png")
    Image.fromarray(np.round(DARK * (255 / 4095)).astype(np.uint8)).save(tmp_path / "light.png")
    return tmp_path / "dark.png", tmp_path / "light.png"


def test_image_of_12_bits_equals_that_of_8_bits(small, images):
    dark, light = (json.loads(line) for line in small(*images, "--max-value", 4095, "--json").lines)
    assert dark["max_value"] == 4095
    assert dark["logit"] == light["logit"]
    assert dark["map"] == light["map"]


def test_dark_image_has_a_note_and_is_explained(small, images):
    done = small(*images)
    assert done.status == 0
    assert done.stderr == (
        f"note: {images[0]}: its 16-bit values are below 4,096: if it has 12 bits, set --max-value 4095\n"
    )
    assert small(*images, "--max-value", 4095).stderr == ""


def test_comparison_and_report_use_the_max_value_of_the_run(small, cli, images):
    small(images[0], "--max-value", 4095, "--save", "npz", "-o", "before", "--report")
    arrays = np.load("before/dark_gradcam.npz")
    metadata = json.loads(str(arrays["metadata"]))
    assert (metadata["max_value"], metadata["preprocess"]) == (4095, "-1..1")
    compared = cli("compare", "before", small.model, "--preprocess", "-1..1", "--max-drift", "rank=1e-6")
    assert compared.status == 0
    assert "--max-value 4095" in (cli.here / "before/index.html").read_text()


def test_evaluate_notes_a_dark_image(small, images):
    assert "--max-value 4095" in small("evaluate", images[0], "--steps", "2").stderr
    assert small("evaluate", images[0], "--steps", "2", "--max-value", "4095").stderr == ""
