"""Classes and functions of the user's own packages in model files: `--import PACKAGE`."""

import json
import subprocess
import sys

import numpy as np
import pytest

PACKAGE = """
import keras

@keras.saving.register_keras_serializable("mine")
class Gate(keras.layers.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")
        self.built = True

    def call(self, x):
        return x * self.gain

@keras.saving.register_keras_serializable("mine")
def bump(x):
    return x + keras.ops.tanh(x)
"""
WRITE = """
import keras, own_layers, numpy as np, sys
x = keras.Input((12, 12, 3))
y = keras.layers.Conv2D(4, 3, activation=own_layers.bump, name="conv")(x)
y = keras.layers.GlobalAveragePooling2D()(own_layers.Gate(name="gate")(y))
model = keras.Model(x, keras.layers.Dense(3)(y))
rng = np.random.default_rng(0)
model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
for suffix in ("keras", "h5"):
    model.save(f"own.{suffix}")
image = np.load("image.npy")[None] / 255.0
np.save("logits.npy", model(image.astype("float32"))[0])
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A directory with model files that contain a class and a function of the package `own_layers`, and an image."""
    here = tmp_path_factory.mktemp("own")
    (here / "packages").mkdir()
    (here / "packages" / "own_layers.py").write_text(PACKAGE)
    image = np.random.default_rng(1).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    np.save(here / "image.npy", image)
    run(here, "-c", WRITE)
    from PIL import Image

    Image.fromarray(image).save(here / "image.png")
    return here


def run(here, *args):
    import os

    environment = {**os.environ, "PYTHONPATH": f"{here / 'packages'}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.run(
        [sys.executable, *args], cwd=here, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_imported_classes_are_opened(own, suffix):
    args = ["image.png", "--model", f"own.{suffix}", "--preprocess", "0..1", "--import", "own_layers", "--json"]
    done = run(own, "-m", "gradcam_cli", *args, "-o", "map.png")
    record = json.loads(done.stdout)
    logits = np.load(own / "logits.npy")
    assert (record["class_index"], record["layer"]) == (logits.argmax(), "gate")
    assert record["logit"] == pytest.approx(logits.max(), rel=1e-5)
    assert record["rerun_args"][-2:] == ["--import", "own_layers"] or "--import" in record["rerun_args"]
    assert "3 classes without names" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "words"),
    [
        ([], "is not a known part of a Keras model"),
        (["--import", "missing_package"], "cannot import it: No module named"),
        (["--import", "json"], "registers no class"),
        (["--import", "../own"], "expected the name of a package"),
    ],
    ids=["not imported", "missing", "without classes", "path"],
)
def test_what_cannot_be_imported_is_refused(own, args, words):
    done = run(own, "-m", "gradcam_cli", "image.png", "--model", "own.keras", *args, "-o", "map.png")
    assert done.returncode in (2, 3)
    assert words in done.stderr
    assert "hint: " in done.stderr
