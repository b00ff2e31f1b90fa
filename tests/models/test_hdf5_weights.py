"""Weights in `.h5` files: assigned by name, complete, with the state of all normalizations."""

import h5py
import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli.errors import ModelError
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.weight_files import load_weights_into

X = np.random.default_rng(0).normal(3.0, 2.0, size=(2, 8, 8, 3)).astype(np.float32)


def nested_model():
    """Two equal convolutions and a normalization inside a model; the second convolution is frozen."""
    inner = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            L.Normalization(mean=None, variance=None, name="scaled"),
            L.Conv2D(3, 3, padding="same", name="first"),
            L.Conv2D(3, 3, padding="same", name="second"),
        ],
        name="inner",
    )
    inner.get_layer("scaled").adapt(X)
    inner.get_layer("second").trainable = False
    return keras.Sequential([keras.Input((8, 8, 3)), inner, L.GlobalAveragePooling2D(name="pooled")])


def saved(tmp_path):
    model = nested_model()
    model.save(tmp_path / "m.h5")
    return model, tmp_path / "m.h5"


def test_normalization_inside_a_model_is_applied(tmp_path):
    """Keras alone loads its mean and variance, and goes on with 0 and 1."""
    model, file = saved(tmp_path)
    np.testing.assert_allclose(load_model_file(file, allow_unsafe=False)(X), model(X), rtol=1e-5)


def test_names_decide_not_the_order(tmp_path):
    """The weights are listed in reverse order in the file."""
    model, file = saved(tmp_path)
    with h5py.File(file, "a") as opened:
        group = opened["model_weights/inner"]
        group.attrs["weight_names"] = group.attrs["weight_names"][::-1]
    np.testing.assert_allclose(load_model_file(file, allow_unsafe=False)(X), model(X), rtol=1e-5)


def rename(names):
    return [name.replace("first", "a").replace("second", "b") for name in names]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda names: names[1:], "layer inner has 7 weights, the file has 6"),
        (rename, "the weights of inner have other names in the file"),
        (lambda names: [*names[:-1], names[0]], "other names"),
    ],
    ids=["missing", "renamed", "repeated"],
)
def test_doubtful_weights_are_refused(tmp_path, change, words):
    """With equal shapes, other names and a frozen layer, their order is not known."""
    _, file = saved(tmp_path)
    with h5py.File(file, "a") as opened:
        group = opened["model_weights/inner"]
        names = [str(name) for name in group.attrs["weight_names"]]
        for old, new in zip(names, rename(names), strict=True):
            if old != new:
                group[new] = group[old][()]
        group.attrs["weight_names"] = change(names)
    with pytest.raises(ModelError, match=words):
        load_model_file(file, allow_unsafe=False)


def test_another_shape_is_refused_with_the_layer(tmp_path):
    _, file = saved(tmp_path)
    with h5py.File(file, "a") as opened:
        name = next(name for name in opened["model_weights/inner"].attrs["weight_names"] if "first/kernel" in str(name))
        del opened["model_weights/inner"][name]
        opened["model_weights/inner"][name] = np.zeros((3, 3, 3, 4), np.float32)
    with pytest.raises(ModelError, match=r"layer inner: expected a weight .*first/kernel of shape \(3, 3, 3, 3\)"):
        load_model_file(file, allow_unsafe=False)


@pytest.mark.parametrize("name", ["w.h5", "W.H5", "w.weights.h5", "W.Weights.H5"])
def test_a_weight_file_for_a_nested_model_is_assigned_by_name(tmp_path, name):
    """The model of `--model` is not frozen; `--weights` is a whole model in which a layer is."""
    model, file = saved(tmp_path)
    weights = tmp_path / name
    if ".weights" in name.lower():
        model.save_weights(tmp_path / "x.weights.h5")
        file = tmp_path / "x.weights.h5"
    file.rename(weights)
    other = nested_model()
    other.layers[0].get_layer("second").trainable = True
    load_weights_into(other, weights)
    np.testing.assert_allclose(other(X), model(X), rtol=1e-5)
