"""A model file with every registered layer: data/odenet.keras, opened and compared with NumPy and scipy.

The file pins the names that saved models contain: registered classes, config keys, and weight paths. `build_model`
built it, with random weights; the archive is compressed to keep it small.
"""

import io
import json
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
from scipy.integrate import solve_ivp

from gradcam_cli.models.classifier import load_model
from gradcam_cli.neuralode import GroupNorm, ODEBlock, ODEFunc
from gradcam_cli.neuralode.layers.odenet import LabeledDense
from gradcam_cli.neuralode.layers.spiral_net import SpiralNetwork

MODEL = Path(__file__).parent / "data" / "odenet.keras"
OPTIONS = {"solver": "tsit5", "rtol": 1e-6, "atol": 1e-6, "per_sample_steps": "inference"}


def build_model():
    """Return a model whose weights are all random, so that each of them counts."""
    keras.utils.set_random_seed(18)
    image = keras.Input((5, 6, 1), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(image)
    x = ODEBlock(ODEFunc("softplus", name="f"), (0.0, 0.8), kinetic_energy=0.01, name="ode", **OPTIONS)(x)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(GroupNorm(2, name="norm")(x))
    x = keras.layers.Dense(2, name="features")(x)
    x = ODEBlock(SpiralNetwork(name="f"), (0.0, 1.5), name="spiral", **OPTIONS)(x)
    model = keras.Model(image, LabeledDense(["no", "yes"], name="scores")(x), name="odenet")
    rng = np.random.default_rng(18)
    for variable in model.trainable_variables:
        variable.assign(variable.numpy() + rng.normal(0, 0.1, variable.shape))
    return model


def read_weights():
    """Return the arrays of the file by their paths, read without Keras."""
    arrays = {}
    with zipfile.ZipFile(MODEL) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda path, node: arrays.update({path: node[()]}) if isinstance(node, h5py.Dataset) else None)
    return arrays


def convolve(x, kernel):
    """Return the valid 3x3 convolution of x (h, w, c) with a kernel (3, 3, c, k)."""
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))  # (h, w, c, 3, 3)
    return np.einsum("hwcij,ijck->hwk", windows, kernel)


def pad(x):
    return np.pad(x, ((1, 1), (1, 1), (0, 0)))


def group_norm(x, gamma, beta, groups):
    """Return the group normalization of x (h, w, c)."""
    h, w, c = x.shape
    grouped = x.reshape(h, w, groups, c // groups)
    mean, variance = grouped.mean((0, 1, 3), keepdims=True), grouped.var((0, 1, 3), keepdims=True)
    return ((grouped - mean) / np.sqrt(variance + 1e-5)).reshape(h, w, c) * gamma + beta


def forward(image, weights):
    """Return the logits of an image (5, 6, 1), in float64, with scipy's solver."""

    def arrays(path):
        keys = sorted(key for key in weights if key.startswith(f"layers/{path}/vars/"))
        return [weights[key].astype(np.float64) for key in keys]

    def solve(f, z0, t1):
        solution = solve_ivp(lambda t, z: f(t, z.reshape(z0.shape)).ravel(), (0, t1), z0.ravel(), rtol=1e-9, atol=1e-10)
        return solution.y[:, -1].reshape(z0.shape)

    def norm(name, x):
        return group_norm(x, *arrays(f"ode_block/f/norms/{name}"), groups=4)

    def concat_conv(name, t, x):
        kernel, time_kernel, bias = arrays(f"ode_block/f/convs/{name}")
        return convolve(pad(np.dstack([x, np.full(x.shape[:2], t)])), np.concatenate([kernel, time_kernel], 2)) + bias

    def f(t, z):
        x = concat_conv("concat_conv2d", t, np.logaddexp(0, norm("group_norm", z)))
        x = concat_conv("concat_conv2d_1", t, np.logaddexp(0, norm("group_norm_1", x)))
        return norm("group_norm_2", x)

    def spiral(t, z):
        (W1, b1), (W2, b2) = arrays("ode_block_1/f/hidden"), arrays("ode_block_1/f/out")
        return np.tanh(z**3 @ W1 + b1) @ W2 + b2

    kernel, bias = arrays("conv2d")
    z = solve(f, convolve(image, kernel) + bias, 0.8)
    x = group_norm(z, *arrays("group_norm"), groups=2).mean((0, 1))
    (W, b), (W_y, b_y) = arrays("dense"), arrays("labeled_dense")
    return solve(spiral, x @ W + b, 1.5) @ W_y + b_y


def test_output_of_the_saved_model_equals_scipy():
    """The file opens, and its logits are those of the NumPy forward pass with scipy's solver."""
    images = np.random.default_rng(0).normal(size=(3, 5, 6, 1)).astype(np.float32)
    model = load_model(MODEL).model
    weights = read_weights()
    expected = [forward(image, weights) for image in images]
    np.testing.assert_allclose(model(images), expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected, axis=0).min() > 1e-3


def test_saved_model_restores_labels_and_options():
    classifier = load_model(MODEL)
    block = classifier.model.get_layer("ode")
    assert classifier.labels.names == ("no", "yes")
    assert (block.t_span, block.kinetic_energy, block.per_sample_steps) == ((0.0, 0.8), 0.01, "inference")
    assert block.options == {"solver": "tsit5", "rtol": 1e-6, "atol": 1e-6}


def test_registered_names_in_the_file():
    """A renamed class or config key would make saved models unreadable."""
    with zipfile.ZipFile(MODEL) as archive:
        text = archive.read("config.json").decode()
    layers = {layer["name"]: layer for layer in json.loads(text)["config"]["layers"]}
    for name in ("ODEBlock", "ODEFunc", "GroupNorm", "LabeledDense", "SpiralNetwork"):
        assert f'"gradcam>{name}"' in text
    assert {"f", "t_span", "per_sample_steps", "kinetic_energy", "solver", "rtol", "atol"} <= set(
        layers["ode"]["config"]
    )


def test_saved_config_equals_that_of_a_new_model():
    """The current code writes all config keys of the file, and in an ODEBlock the newer ones."""
    with zipfile.ZipFile(MODEL) as archive:
        saved = json.loads(archive.read("config.json"))
    keys = {layer["name"]: set(layer["config"]) for layer in saved["config"]["layers"]}
    for name in ("ode", "spiral"):
        keys[name] |= {"return_trajectory", "augment_dims"}
    assert {layer.name: set(layer.get_config()) for layer in build_model().layers} == keys
