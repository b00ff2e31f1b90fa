"""Models of signals, volumes and films: their input shape, the preprocessing, the layers and what is announced."""

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import layers, load_model
from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models import opening
from gradcam_cli.models.opening import check_results
from gradcam_cli.network import batch_size, input_probe
from gradcam_cli.network.batch_size import default_batch_size
from gradcam_cli.pipeline.announcement import describe_choices

SIGNAL, VOLUME, FILM = (60, 2), (8, 12, 10, 1), (6, 12, 10, 3)
CONV = {1: L.Conv1D, 2: L.Conv2D, 3: L.Conv3D}
POOL = {1: L.GlobalAveragePooling1D, 2: L.GlobalAveragePooling2D, 3: L.GlobalAveragePooling3D}


def network(shape, *first, conv=None):
    """A classifier of inputs of a shape: layers of its own, then a convolution."""
    rank = len(shape) - 1
    conv = conv or CONV[rank](3, 3, activation="relu", name="conv")
    return keras.Sequential([L.Input(shape), *first, conv, POOL[rank](), L.Dense(2, name="scores")])


@pytest.mark.parametrize("shape", [SIGNAL, (16, 16, 3), VOLUME, FILM])
def test_shape_is_that_of_the_model(shape):
    classifier = load_model(network(shape))
    assert (classifier.input_shape, classifier.spatial_shape) == (shape, shape[:-1])
    assert classifier.rank == len(shape) - 1
    assert classifier.class_count == 2
    assert classifier.find_layer("auto").path == "conv"


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((None, 2), (100,), (100, 2)),
        ((None, None, None, 1), (8, 16, 20), (8, 16, 20, 1)),
        ((None, 16, 20, 1), (8, 16, 20), (8, 16, 20, 1)),
        ((None, None, None, 1), (16,), (16, 16, 16, 1)),
        ((None, None, 3), (20,), (20, 20, 3)),
        ((None, None, 3), None, (224, 224, 3)),
    ],
)
def test_variable_sizes_are_requested(shape, size, expected):
    assert load_model(network(shape), input_size=size).input_shape == expected


@pytest.mark.parametrize(("shape", "hint"), [((None, 2), "--input-size T"), ((None, 16, 16, 1), "--input-size DxHxW")])
def test_variable_sizes_of_signals_and_volumes_are_required(shape, hint):
    with pytest.raises(ModelError, match="an input of variable size") as caught:
        load_model(network(shape))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("shape", "size", "message"),
    [
        (SIGNAL, (50,), "requires 60, got 50"),
        (VOLUME, (12, 10), "requires 3 numbers, got 12x10"),
        ((None, 16, 16, 1), (4, 4, 16), r"requires \?x16x16, got 4x4x16"),
    ],
)
def test_other_sizes_are_refused(shape, size, message):
    with pytest.raises(UsageError, match=f"--input-size: the model {message}"):
        load_model(network(shape), input_size=size)


@pytest.mark.parametrize("shape", [(5,), (2, 2, 2, 2, 1)])
def test_inputs_of_other_ranks_are_refused(shape):
    model = keras.Sequential([L.Input(shape), L.Flatten(), L.Dense(2)])
    with pytest.raises(ModelError, match="expected a model with one input"):
        load_model(model)


@pytest.mark.parametrize(
    ("model", "mode", "guess"),
    [
        (lambda: network(SIGNAL), "none", False),
        (lambda: network(SIGNAL, L.Rescaling(1 / 255)), "none", False),
        (lambda: network(VOLUME), "none", True),
        (lambda: network((*VOLUME[:-1], 4)), "none", False),
        (lambda: network(VOLUME, L.Rescaling(1 / 255)), "none", False),
        (lambda: network(VOLUME, L.Rescaling(2, -1)), "none", True),  # of 0..1, which stored values are not
        (lambda: network(FILM), "0..1", True),
        (lambda: network(FILM, L.Rescaling(1 / 255)), "none", False),
        (lambda: network(FILM, L.Rescaling(2, -1)), "0..1", False),
        (lambda: network(FILM, L.Rescaling(1 / 255), conv=L.TimeDistributed(L.Conv2D(3, 3))), "none", False),
    ],
)
def test_preprocessing_is_measured_or_leaves_the_values(model, mode, guess):
    choice = load_model(model()).preprocess_choice
    assert (choice.mode, choice.guess) == (mode, guess)


def test_large_inputs_are_probed_level_by_level(monkeypatch):
    """The values are those of one pass over all levels."""
    model = network(FILM, L.Rescaling([0.1, 0.2, 0.3], [1, 2, 3]))
    at_once = input_probe.probe_input(model, FILM).received
    monkeypatch.setattr(input_probe, "MAX_VALUES", 100)
    np.testing.assert_array_equal(input_probe.probe_input(model, FILM).received, at_once)
    np.testing.assert_allclose(at_once[3], np.float32([255 * 0.1 + 1, 255 * 0.2 + 2, 255 * 0.3 + 3]), rtol=1e-6)


def test_preprocessing_of_a_film_is_that_of_the_network_of_its_frames():
    backbone = keras.applications.MobileNetV2((32, 32, 3), weights=None, include_top=False, alpha=0.35)
    frames = keras.Sequential([L.Input((2, 32, 32, 3)), L.TimeDistributed(backbone), L.Flatten(), L.Dense(2)])
    assert load_model(frames).preprocess_mode == "tf"


RECURRENT = {
    "time distributed": ((4, 10, 12, 1), L.TimeDistributed(L.Conv2D(3, 3, activation="relu"))),
    "convolutional LSTM": ((4, 10, 12, 1), L.ConvLSTM2D(3, 3, padding="same", return_sequences=True)),
    "convolutional LSTM of rows": ((6, 12, 1), L.ConvLSTM1D(3, 3, padding="same", return_sequences=True)),
    "LSTM": ((30, 2), L.LSTM(4, return_sequences=True)),
    "two directions": ((30, 2), L.Bidirectional(L.GRU(4, return_sequences=True))),
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers_are_listed_and_chosen(kind):
    """The only layer with weights before the pooling is `auto`, though its loop over time is no known operation."""
    keras.utils.set_random_seed(1)
    shape, layer = RECURRENT[kind]
    found = layers(network(shape, conv=layer))
    assert found.default.path == layer.name
    assert found.default.shape[:-1] == tuple(layer.output.shape[1:-1])
    assert found.default.excluded is None


def test_last_state_of_a_recurrent_layer_is_no_grid():
    """Its rows and columns have no time: the layer before it is `auto`."""
    model = keras.Sequential(
        [
            L.Input((6, 12, 14, 1)),
            L.Conv3D(3, 3, name="conv"),
            L.ConvLSTM2D(4, 3, name="last"),
            L.GlobalAveragePooling2D(),
            L.Dense(2),
        ]
    )
    assert layers(model).default.path == "conv"
    with pytest.raises(UsageError, match="layer last: expected the spatial axes of the input"):
        load_model(model).find_layer("last")


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (SIGNAL, "input 60 with 2 channels, preprocessing none (signals are passed as they are stored)"),
        (VOLUME, "input 8x12x10 with 1 channel, preprocessing none (a guess, volumes are passed as they are stored"),
        (FILM, "input 6x12x10 with 3 channels, preprocessing 0..1 (a guess"),
    ],
)
def test_announcement(shape, text):
    assert text in describe_choices(load_model(network(shape)), []).text


def test_variable_size_is_announced():
    text = describe_choices(load_model(network((None, 2)), input_size=(90,)), []).text
    assert "input 90 with 2 channels (the model accepts other sizes: --input-size)" in text


@pytest.mark.parametrize(("shape", "num_values"), [((256, 2), 254), ((64, 64, 64, 1), 62**3)])
def test_batch_fits_the_activations(shape, num_values, monkeypatch):
    """Four bytes for each of three channels of the convolution."""
    monkeypatch.setattr(batch_size, "TARGET_ACTIVATION_BYTES", 9 * 4 * 3 * num_values)
    assert default_batch_size(network(shape), shape) == 8


def test_variable_sizes_of_volumes_are_checked():
    """A convolution of 3 channels at 100x100x100 has 12 MB."""
    model = network((None, None, None, 1), conv=L.Conv3D(3, 3, padding="same"))
    check_results(model, (100, 100, 100, 1), 12 * 10**6)
    with pytest.raises(ModelError, match="expected results of at most"):
        check_results(model, (100, 100, 100, 1), 12 * 10**6 - 1)
    assert opening.MAX_RESULT_BYTES > 12 * 10**6


def test_volume_beside_a_table():
    """The other input is fixed, and the volume is the model's only one."""
    table, scan = L.Input((4,), name="table"), L.Input(VOLUME, name="scan")
    A = L.GlobalAveragePooling3D()(L.Conv3D(3, 3, name="conv")(scan))
    model = keras.Model([table, scan], L.Dense(2)(L.concatenate([A, table])))
    assert load_model(model, other_inputs="zeros").input_shape == VOLUME
