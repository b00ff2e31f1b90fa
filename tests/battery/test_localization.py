"""Does the map of a trained transformer lie on the object? Digits at random places of a larger image."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from model_kinds import chain, residual
from transformer_kinds import Prefix

from gradcam_cli import load_model
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.neuralode.training.digits import load_digits
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

pytestmark = pytest.mark.extended

SIZE, DIGIT, PATCH, WIDTH, COUNT = 24, 8, 4, 48, 300
METHODS = "gradcam", "hirescam", "layercam", "rollout", "legrad", "occlusion", "center"


def pasted(digits, seed):
    """Each digit on a black image, and its place (row, column)."""
    places = np.random.default_rng(seed).integers(0, SIZE - DIGIT + 1, (len(digits), 2))
    images = np.zeros((len(digits), SIZE, SIZE, 1), np.uint8)
    for image, digit, (i, j) in zip(images, digits, places, strict=True):
        image[i : i + DIGIT, j : j + DIGIT, 0] = digit.astype(int) * 255 // 16
    return images, places


def attention():
    inner = L.MultiHeadAttention(4, WIDTH // 4)
    return lambda x: inner(x, x)


def block():
    mlp = residual(L.LayerNormalization(), L.Dense(2 * WIDTH, activation="gelu"), L.Dense(WIDTH))
    return chain(residual(L.LayerNormalization(), attention()), mlp)


def trained():
    """A transformer of two blocks that classifies by its class token; about a minute of training."""
    keras.utils.set_random_seed(0)
    (digits, labels), _ = load_digits()
    cells = SIZE // PATCH
    parts = L.Rescaling(1 / 255), L.Conv2D(WIDTH, PATCH, PATCH, name="patches"), L.Reshape((cells * cells, WIDTH))
    x = keras.Input((SIZE, SIZE, 1))
    tokens = chain(*parts, Prefix(1), block(), block(), L.LayerNormalization())(x)
    model = keras.Model(x, L.Dense(10)(tokens[:, 0]))
    images = np.concatenate([pasted(digits, seed)[0] for seed in range(20)])
    rate = keras.optimizers.schedules.CosineDecay(2e-3, len(images) // 128 * 5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rate), loss, metrics=["accuracy"], jit_compile=False)
    model.fit(images, np.tile(labels, 20), batch_size=128, epochs=5, verbose=0)
    return model


@pytest.fixture(scope="module")
def rates():
    """The accuracy, and for each layer and method the part of the images whose highest value lies on the digit."""
    model = trained()
    _, (digits, labels) = load_digits()
    images, places = pasted(digits[:COUNT], 99)
    config = ExplainConfig(methods=METHODS, layers=("auto", "patches"), batch_size=50)
    run = prepare_run(load_model(model, preprocess="none"), config)
    loaded = [LoadedImage(str(i), np.repeat(image, 3, -1)) for i, image in enumerate(images)]
    hits = {"accuracy": model.evaluate(images, labels[:COUNT], verbose=0)[1]}
    for results, place in zip(explain_images(run, loaded), places, strict=True):
        for result in results:
            peak = np.array(np.unravel_index(result.heatmap.argmax(), result.heatmap.shape))
            hit = result.heatmap.any() and (peak >= place).all() and (peak < place + DIGIT).all()
            key = result.request_key[0], result.method
            hits[key] = hits.get(key, 0) + bool(hit) / COUNT
    print({key: round(float(value), 3) for key, value in hits.items()})
    return hits


def test_the_transformer_reads_digits(rates):
    assert rates["accuracy"] > 0.8


def test_methods_on_tokens_find_the_digit_more_often_than_the_center(rates):
    """The tokens before the last attention, weighted each by its own gradient, and the attention maps."""
    center = rates["auto", "center"]
    assert center < 0.3
    for method in ("hirescam", "layercam", "legrad"):
        assert rates["auto", method] > 1.5 * center
    assert rates["auto", "rollout"] > 3 * center


def test_gradcam_finds_the_digit_from_the_patches(rates):
    """Averaged gradients need features that differ between the object and the background: those of the patches."""
    assert rates["patches", "gradcam"] > 2 * rates["patches", "center"]
