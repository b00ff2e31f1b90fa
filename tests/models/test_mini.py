"""The built-in model: architecture, folding of batch normalization, and accuracy."""

import json
from importlib import resources
from pathlib import Path

import evaluate_mini
import keras
import mini_network
import numpy as np
import pytest
import train_mini

from gradcam_cli import load_model
from gradcam_cli.errors import WeightsError
from gradcam_cli.models.labels import CIFAR10
from gradcam_cli.models.mini import build_mini
from gradcam_cli.storage.checksum import sha256

ROOT = Path(__file__).parents[2]
DATA = resources.files("gradcam_cli.models").joinpath("data")


@pytest.fixture(scope="module")
def mini():
    return load_model("mini")


def test_architecture_follows_vgg19(mini):
    """It has VGG19's sixteen convolutions by name, and block5_conv4 has an output of 8x8 or larger."""
    vgg19 = keras.applications.VGG19(weights=None)
    names = [layer.name for layer in vgg19.layers if "_conv" in layer.name]
    convolutions = [layer for layer in mini.model.layers if "_conv" in layer.name]
    assert [layer.name for layer in convolutions] == names
    assert len(names) == 16
    for layer in convolutions:
        assert type(layer) is keras.layers.Conv2D
        assert layer.activation is keras.activations.relu
        assert layer.kernel_size == (3, 3)
    shapes = {layer.path: layer.shape for layer in mini.layer_outputs}
    assert min(shapes["block5_conv4"][:2]) >= 8
    kinds = {type(layer).__name__ for layer in mini.model.layers}
    assert kinds == {"InputLayer", "Conv2D", "MaxPooling2D", "GlobalAveragePooling2D", "Dense"}


def test_folded_model_has_equal_logits():
    """A model with random batch normalization and its folded version have equal logits to 1e-5."""
    keras.utils.set_random_seed(0)
    trained = mini_network.build_training_model()
    rng = np.random.default_rng(0)
    for layer in trained.layers:
        if isinstance(layer, mini_network.FusedNorm):
            width = layer.gamma.shape[0]
            layer.set_weights(
                [
                    rng.uniform(0.5, 1.5, width) * rng.choice([-1, 1], width, p=[0.1, 0.9]),
                    rng.normal(0, 0.3, width),
                    rng.normal(0, 0.5, width),
                    rng.uniform(0.2, 4, width),
                ]
            )
    folded = build_mini()
    for layer in folded.layers:
        if layer.weights:
            layer.set_weights([mini_network.fold(trained)[f"{layer.name}/{part}"] for part in ("kernel", "bias")])
    x = rng.uniform(-1, 1, (8, 32, 32, 3)).astype(np.float32)
    expected = trained(x).numpy()
    assert np.ptp(expected) > 0.1
    np.testing.assert_allclose(mini_network.logits(folded, x), expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_card_has_hash_size_and_accuracy_of_the_weights(mini):
    """mini.json has the hash and number of parameters of mini.npz, and the measured accuracy."""
    card = json.loads(DATA.joinpath("mini.json").read_text())
    assert card["sha256"] == sha256(DATA.joinpath("mini.npz"))
    assert card["parameters"] == mini.model.count_params()
    assert card["fold_difference"] < 1e-5
    assert tuple(card["classes"]) == CIFAR10.names
    assert DATA.joinpath("mini.npz").stat().st_size < 5_500_000
    assert card["measured"]["test_accuracy"] > 0


def test_weights_of_another_model_are_rejected(tmp_path):
    np.savez(tmp_path / "other.npz", **{"block1_conv1/kernel": np.zeros((3, 3, 3, 4))})
    with pytest.raises(WeightsError, match="does not fit mini"):
        load_model("mini", weights=str(tmp_path / "other.npz"))


def test_quick_start_command_predicts_cat(cli):
    """The quick-start command works offline with the built-in model."""
    done = cli(ROOT / "sample_images/chelsea.png", "--model", "mini", "--layer", "block5_conv4", "--json", "--offline")
    assert (done.status, done.stderr) == (0, "")
    entry = json.loads(done.stdout)
    assert (entry["class_name"], entry["model"], entry["layer"]) == ("cat", "mini", "block5_conv4")
    assert entry["outputs"] == {"figure": "chelsea_gradcam.png"}


def test_mini_ignores_the_variable_gradcam_weights(cli, monkeypatch):
    """GRADCAM_WEIGHTS applies only to models without built-in weights."""
    monkeypatch.setenv("GRADCAM_WEIGHTS", "vgg19.h5")
    assert cli(ROOT / "sample_images/chelsea.png", "--model", "mini").status == 0


@pytest.fixture(scope="module")
def measured():
    """The measured values in mini.json."""
    return json.loads(DATA.joinpath("mini.json").read_text())["measured"]


@pytest.fixture(scope="module")
def objects(data):
    """5,000 CIFAR-10 test images, with their classes."""
    images, classes = train_mini.read_images(data / "cifar10_jpeg.zip", "test")
    assert len(images) == 5000
    return images, classes


@pytest.mark.extended
@pytest.mark.slow
def test_accuracy_is_that_of_the_card(mini, objects, measured):
    """The accuracy on CIFAR-10 test images is that of the card."""
    accuracy = evaluate_mini.accuracy(mini, *objects)
    assert accuracy >= 0.88
    assert accuracy == pytest.approx(measured["test_accuracy"], abs=0.001)


@pytest.mark.slow
@pytest.mark.parametrize(("fit", "minimum"), [("pad", 0.8), ("squash", 0.75)])
def test_cat_or_dog_accuracy_is_that_of_the_card(mini, data, measured, fit, minimum):
    """The accuracy of cat against dog on images of pets is that of the card."""
    correct = evaluate_mini.cat_or_dog_correct(mini, data / "images/pets", fit)
    assert len(correct) == 80
    assert np.mean(correct) >= minimum
    assert np.mean(correct) == pytest.approx(measured["cat_or_dog_accuracy_on_80_pets"][fit], abs=0.03)


@pytest.mark.slow
def test_peak_is_on_the_pasted_object(mini, objects, measured):
    """On a background of twice its side, the peak is on the object in 80 % of 500 correct predictions."""
    hits = evaluate_mini.pointing_game(mini, *objects)
    assert len(hits) == 500
    assert np.mean(hits) >= 0.8
    assert np.mean(hits) == pytest.approx(measured["pointing_game_on_pasted_images"], abs=0.02)
