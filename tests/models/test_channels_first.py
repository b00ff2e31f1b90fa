"""Files with `channels_first`: the opened model computes what NumPy computes, and what the same layers compute."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import explain, load_model
from gradcam_cli.errors import ModelError
from gradcam_cli.models.channels_first import to_channels_last
from gradcam_cli.models.model_files import load_model_file

FIRST = {"data_format": "channels_first"}
RNG = np.random.default_rng(0)


def test_a_network_computed_by_hand(tmp_path):
    """Convolution, ReLU, Flatten and Dense in NumPy, in the order (n, c, h, w) of the file."""
    x = keras.Input((3, 4, 5))
    y = L.Conv2D(2, (2, 3), activation="relu", name="conv", **FIRST)(x)
    model = keras.Model(x, L.Dense(3)(L.Flatten(**FIRST)(y)))
    W, b, V, d = (RNG.normal(size=w.shape) for w in model.get_weights())
    model.set_weights([W, b, V, d])
    model.save(tmp_path / "first.keras")
    images = RNG.normal(size=(2, 3, 4, 5))
    windows = np.lib.stride_tricks.sliding_window_view(images, (2, 3), (2, 3))  # (n, c, u, v, 2, 3)
    A = np.maximum(np.einsum("ncuvij,ijck->nkuv", windows, W) + b[:, None, None], 0)
    expected = A.transpose(0, 2, 3, 1).reshape(2, -1) @ V + d
    opened = load_model_file(tmp_path / "first.keras", allow_unsafe=False)
    np.testing.assert_allclose(opened(images.transpose(0, 2, 3, 1)), expected, rtol=1e-5, atol=1e-5)


def network(first):
    """A residual network with all kinds of layers that are changed, in either format."""
    layout = FIRST if first else {"data_format": "channels_last"}
    axis = 1 if first else 3
    x = keras.Input((3, 12, 10) if first else (12, 10, 3))
    y = L.ZeroPadding2D(1, **layout)(x)
    y = L.BatchNormalization(axis=axis)(L.Conv2D(4, 3, strides=2, name="a", **layout)(y))
    y = L.Concatenate(axis=axis)([L.ReLU()(y), L.DepthwiseConv2D(3, padding="same", **layout)(y)])
    y = L.MaxPooling2D(2, padding="same", **layout)(L.GroupNormalization(2, axis=axis)(y))
    inner = keras.Sequential(
        [keras.Input(y.shape[1:]), L.SeparableConv2D(8, 3, padding="same", **layout)], name="inner"
    )
    y = L.Add()([inner(y), y])
    y = L.Conv2DTranspose(5, 2, strides=2, name="b", **layout)(L.UpSampling2D(2, **layout)(y))
    pooled = L.GlobalAveragePooling2D(**layout)(y)
    return keras.Model(x, L.Dense(3, activation="softmax")(L.BatchNormalization(axis=1)(pooled)))


@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_map_is_that_of_the_channels_last_model(tmp_path, suffix):
    first, last = network(True), network(False)
    weights = [np.abs(RNG.normal(size=w.shape)) for w in first.get_weights()]
    for model in (first, last):
        model.set_weights(weights)
    first.save(tmp_path / f"first.{suffix}")
    pixels = RNG.integers(0, 256, (12, 10, 3), np.uint8)
    expected = explain(pixels, load_model(last, preprocess="0..1"), "a", target_class=1)
    result = explain(pixels, load_model(tmp_path / f"first.{suffix}", preprocess="0..1"), "a", target_class=1)
    assert np.linalg.norm(result.cam_pre_relu - expected.cam_pre_relu) < 1e-5 * np.linalg.norm(expected.cam_pre_relu)
    assert result.prediction.logit == pytest.approx(expected.prediction.logit, rel=1e-5)


@pytest.mark.parametrize(
    "layer",
    [L.Reshape((6, 4, 4)), L.Dense(4), L.Flatten(data_format="channels_last"), L.LayerNormalization(), L.Softmax(1)],
    ids=lambda layer: type(layer).__name__,
)
def test_uncertain_layers_are_refused(tmp_path, layer):
    x = keras.Input((3, 6, 6))
    y = layer(L.Conv2D(6, 3, padding="valid", **FIRST)(x))
    keras.Model(x, L.Dense(2)(L.Flatten(**FIRST)(y) if len(y.shape) == 4 else y)).save(tmp_path / "m.keras")
    with pytest.raises(ModelError, match=f"{type(layer).__name__} in a channels_first model"):
        load_model_file(tmp_path / "m.keras", allow_unsafe=False)


def test_unknown_ranks_are_refused():
    """A Concatenate without the shapes of its inputs: its axis may be that of the channels or of pooled features."""
    layers = [
        {"class_name": "Conv2D", "config": {"name": "conv", **FIRST}},
        {"class_name": "Concatenate", "config": {"name": "joined", "axis": 1}},
    ]
    with pytest.raises(ModelError, match="Concatenate in a channels_first model"):
        to_channels_last({"class_name": "Functional", "config": {"layers": layers}})
