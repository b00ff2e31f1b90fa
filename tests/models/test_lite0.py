"""The built-in ImageNet classifier: weights, folding, predictions and maps, compared with a network in NumPy."""

import json
from importlib import resources
from pathlib import Path

import convert_lite0
import evaluate_lite0
import keras
import lite0_reference
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gradcam_cli import explain, load_model
from gradcam_cli.errors import WeightsError
from gradcam_cli.models.labels import imagenet_labels
from gradcam_cli.models.lite0 import build_lite0
from gradcam_cli.models.preprocessing import preprocess_pixels
from gradcam_cli.storage.checksum import sha256

SAMPLES = Path(__file__).parents[2] / "sample_images"
DATA = resources.files("gradcam_cli.models").joinpath("data")


@pytest.fixture(scope="module")
def lite0():
    return load_model("lite0")


@pytest.fixture(scope="module")
def card():
    return json.loads(DATA.joinpath("lite0.json").read_text())


def sample(name):
    """A sample image in the size of the model, (224, 224, 3) uint8."""
    return np.array(Image.open(SAMPLES / name).convert("RGB").resize((224, 224)))


def logits(model, pixels):
    """The logits (1000,) of the Keras model, whose output is their softmax."""
    x = preprocess_pixels(pixels[None], "none,mean=127,std=128")
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)(x)
    kernel, bias = model.get_layer("predictions").get_weights()
    return (pooled.numpy() @ kernel + bias)[0]


def torch_kernel(layer):
    """The kernel of a Keras layer with PyTorch's axes, in float64."""
    axes = (2, 3, 0, 1) if isinstance(layer, keras.layers.DepthwiseConv2D) else (3, 2, 0, 1)
    return np.float64(layer.kernel.numpy()).transpose(axes)


def state_of(model, norm):
    """The weights of a Keras model by PyTorch's names; `norm` returns gamma, beta, mean and variance of a layer."""
    state = {}
    for layer, convolution, name in convert_lite0.convolution_names():
        state[f"{convolution}.weight"] = torch_kernel(model.get_layer(layer))
        parts = ("weight", "bias", "running_mean", "running_var")
        state |= {f"{name}.{part}": value for part, value in zip(parts, norm(model.get_layer(layer)), strict=True)}
    kernel, bias = model.get_layer("predictions").get_weights()
    return state | {"_fc.weight": kernel.T, "_fc.bias": bias}


def assert_close(actual, expected):
    """Logits are equal to 1e-4 of their largest."""
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_weights_are_those_of_the_card(lite0, card):
    """lite0.json has the hash and number of parameters of lite0.npz; the model has its float16 values, in float32."""
    assert card["sha256"] == sha256(DATA.joinpath("lite0.npz"))
    assert card["parameters"] == lite0.model.count_params() == 4_631_000
    assert DATA.joinpath("lite0.npz").stat().st_size < 9_300_000
    assert card["source"]["sha256"] == convert_lite0.MEMBER_SHA256
    with np.load(DATA.joinpath("lite0.npz"), allow_pickle=False) as arrays:
        names = {f"{layer.name}/{weight.name}" for layer in lite0.model.layers for weight in layer.weights}
        assert set(arrays.files) == names
        for layer in lite0.model.layers:
            for weight in layer.weights:
                stored = arrays[f"{layer.name}/{weight.name}"]
                assert (stored.dtype, weight.dtype) == (np.float16, "float32")
                np.testing.assert_array_equal(weight.numpy(), stored.astype(np.float32))


@pytest.mark.parametrize("name", ["chelsea.png", "coffee.png"])
def test_logits_are_those_of_the_network_in_numpy(lite0, name):
    """With the weights of the package, Keras's logits are those of the network in NumPy without normalization."""

    def no_normalization(layer):
        ones, zeros = np.ones(layer.bias.shape), np.zeros(layer.bias.shape)
        return ones, np.float64(layer.bias.numpy()), zeros, ones - lite0_reference.EPSILON

    state = state_of(lite0.model, no_normalization)
    assert_close(logits(lite0.model, sample(name)), lite0_reference.logits(state, sample(name)))


def test_folded_network_has_the_logits_of_the_normalized_network(tmp_path):
    """Random normalization folded into the kernels gives the logits of the network in NumPy, which is not folded."""
    keras.utils.set_random_seed(0)
    rng, pixels = np.random.default_rng(0), sample("chelsea.png")

    def random_normalization(layer):
        channels = layer.bias.shape[0]
        signs = rng.choice([-1, 1], channels, p=[0.1, 0.9])
        gamma, beta = rng.uniform(0.5, 1.5, channels) * signs, rng.normal(0.5, 0.5, channels)
        return gamma, beta, rng.normal(0, 0.1, channels), rng.uniform(0.05, 0.5, channels)

    state = state_of(build_lite0(), random_normalization)
    np.savez(tmp_path / "folded.npz", **convert_lite0.fold(state))
    expected = lite0_reference.logits(state, pixels)
    assert np.ptp(expected) > 0.1
    assert_close(logits(build_lite0(tmp_path / "folded.npz"), pixels), expected)
    with pytest.raises(AssertionError):  # PyTorch's epsilon is another one
        assert_close(lite0_reference.logits(state, pixels, epsilon=1e-5), expected)


def test_stride_and_padding_of_a_block_by_hand():
    """A row of 4 cells, kernel 3, stride 2: SAME pads one zero behind, so the windows are 1 2 3 and 3 4 0."""
    x = np.arange(1.0, 5)[None, :, None]
    kernel = np.zeros((1, 1, 3, 3))
    kernel[0, 0, 1] = 1, 10, 100
    assert lite0_reference.convolve_depthwise(x, kernel, 2)[0, :, 0].tolist() == [321, 43]
    assert lite0_reference.convolve(x, kernel, 2)[0, :, 0].tolist() == [321, 43]
    layer = keras.layers.DepthwiseConv2D(3, 2, padding="same", use_bias=False)
    layer.build((1, 1, 4, 1))
    layer.set_weights([kernel.transpose(2, 3, 0, 1)])
    assert layer(x[None].astype(np.float32)).numpy()[0, 0, :, 0].tolist() == [321, 43]


@pytest.mark.parametrize(
    ("name", "expected", "probability"), [("chelsea.png", "Egyptian_cat", 0.79), ("coffee.png", "espresso", 0.90)]
)
def test_sample_images_have_their_classes(cli, name, expected, probability):
    """The command predicts an Egyptian cat and an espresso, offline, and explains the last convolution."""
    done = cli(SAMPLES / name, "--model", "lite0", "--json", "--offline")
    assert (done.status, done.stderr) == (0, "")
    entry = json.loads(done.stdout)
    assert (entry["class_name"], entry["model"], entry["layer"]) == (expected, "lite0", "top_conv")
    assert entry["probability"] == pytest.approx(probability, abs=0.01)


def test_names_and_input(lite0):
    """It has ImageNet's names, Keras's layer names of EfficientNet, and pixels (x - 127) / 128."""
    assert lite0.labels == imagenet_labels()
    assert lite0.input_shape == (224, 224, 3)
    np.testing.assert_array_equal(lite0.preprocess(np.full((1, 2, 2, 3), 255, np.uint8)), np.ones((1, 2, 2, 3)))
    names = [layer.name for layer in lite0.model.layers if layer.weights]
    keras_names = [layer.name for layer in keras.applications.EfficientNetB0(weights=None).layers]
    assert [name for name in keras_names if name in names] == names
    assert len(names) == 50


@pytest.mark.parametrize("layer", ["top_conv", "block5c_add", "block4a_dwconv"])
def test_map_is_that_of_an_independent_tape(lite0, layer):
    """L = relu(sum_k alpha_k A_k), with alpha_k the mean of dy_c/dA_k, from a model of Keras and a gradient tape."""
    model, pixels = lite0.model, sample("chelsea.png")
    x = preprocess_pixels(pixels[None], "none,mean=127,std=128")
    with tf.GradientTape() as tape:
        A, pooled = keras.Model(model.input, [model.get_layer(layer).output, model.get_layer("avg_pool").output])(x)
        y = (pooled @ model.get_layer("predictions").kernel + model.get_layer("predictions").bias)[0, 285]
    alpha = tf.reduce_mean(tape.gradient(y, A), (1, 2))[0].numpy()
    expected = np.maximum((A[0].numpy() * alpha).sum(-1), 0)
    found = explain(pixels, lite0, layer, target_class=285).cam
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.max())


def test_weights_that_do_not_fit_are_refused(tmp_path):
    """A missing array, an array of another shape, and another kind of file are errors."""
    np.savez(tmp_path / "other.npz", **{"stem_conv/kernel": np.zeros((3, 3, 3, 4))})
    with pytest.raises(WeightsError, match=r"does not fit lite0: stem_conv/kernel: expected shape \(3, 3, 3, 32\)"):
        load_model("lite0", weights=str(tmp_path / "other.npz"))
    np.savez(tmp_path / "other.npz", **{"stem_conv/kernel": np.zeros((3, 3, 3, 32))})
    with pytest.raises(WeightsError, match=r"stem_conv/bias: expected shape \(32,\), got no such array"):
        load_model("lite0", weights=str(tmp_path / "other.npz"))
    (tmp_path / "other.npz").write_text("text")
    with pytest.raises(WeightsError, match=r"cannot read .*other.npz: it is no .npz file, or is truncated"):
        load_model("lite0", weights=str(tmp_path / "other.npz"))


def test_weights_out_of_the_range_of_float16_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"conv/kernel: expected absolute values of at most 65,504, got 1e\+06"):
        convert_lite0.write_weights({"conv/kernel": np.array([1.0, 1e6])}, tmp_path / "weights.npz")


def test_missing_weights_are_answered_with_lite0(cli, photo):
    """Without VGG19's weights, the hint offers the built-in ImageNet classifier."""
    done = cli(photo(), "--offline")
    assert done.status == 3
    assert "--model lite0" in done.stderr


@pytest.mark.extended
@pytest.mark.slow
@pytest.mark.parametrize(("fit", "num_correct"), [("crop", 59), ("squash", 54)])
def test_accuracy_is_that_of_the_card(lite0, data, card, fit, num_correct):
    """Of 63 photos, one per class, the card's number has the right class."""
    hits = evaluate_lite0.correct(lite0, data, fit)
    assert (len(hits), card["measured"]["correct"][fit]) == (63, num_correct)
    assert sum(hits) == pytest.approx(num_correct, abs=1)
