"""The peak of the Grad-CAM map of a trained network lies on the event: a spike, a ball, a moving square."""

import functools

import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from planted_events import balls, moving_squares, spikes, trained_classifier, trained_unet
from scipy import ndimage

from gradcam_cli import load_model
from gradcam_cli.images.box import Box
from gradcam_cli.methods import maps
from gradcam_cli.methods.cam import gradcam
from gradcam_cli.network.target import parse_target

HELD_OUT = 150
"""Inputs that the network has not seen; 100 of them have an event."""
SAME = {"padding": "same", "activation": "relu"}


def of_signals():
    return [L.Conv1D(8, 5, **SAME), L.MaxPooling1D(2), L.Conv1D(8, 5, **SAME), L.GlobalAveragePooling1D()]


def of_volumes():
    return [L.Conv3D(6, 3, **SAME), L.Conv3D(8, 3, **SAME), L.GlobalAveragePooling3D()]


def of_frames():
    frames = L.TimeDistributed(L.Conv2D(4, 5, **SAME))
    return [frames, L.Conv3D(8, 3, **SAME), L.GlobalAveragePooling3D()]


def recurrent():
    frames = L.TimeDistributed(L.Conv2D(6, 3, **SAME))
    return [frames, L.ConvLSTM2D(6, 1, padding="same", return_sequences=True), L.GlobalMaxPooling3D()]


RECURRENT = "film by ConvLSTM2D"
CASES = {
    "signal": (spikes, of_signals),
    "volume": (balls, of_volumes),
    "film by Conv3D": (moving_squares, of_volumes),
    "film by TimeDistributed": (moving_squares, of_frames),
    RECURRENT: (moving_squares, recurrent),
}
SLOW = [pytest.param(case, marks=pytest.mark.extended) for case in list(CASES)[1:]]


@functools.cache
def passes(case):
    """The accuracy of the network of a case, the places of events, and A and dA for the classes of their inputs."""
    sample, layers = CASES[case]
    x, classes, places = (each[sample(HELD_OUT, 2)[1] < 2] for each in sample(HELD_OUT, 2))
    model = load_model(trained_classifier(layers, sample), preprocess="none")
    network = model.traced.gradient_function([model.find_layer("auto")], "logit")
    result = network(model.preprocess(x), classes[:, None].astype(np.int32))
    if case == RECURRENT:
        places = np.array([remembered(place) for place in places])
    return (result.y.argmax(1) == classes).mean(), places, result.A[0], result.dA[0][0]


def remembered(place):
    """Where a recurrent layer may keep an event: where it is, a pixel beside it, and in all later frames."""
    return ndimage.binary_dilation(np.logical_or.accumulate(place), np.ones((1, 3, 3)))


def fraction_on_event(places, A, dA, method=gradcam):
    """The fraction of the inputs whose map, at the size of the input, has its peak on the event."""
    peaks = []
    for place, *arrays in zip(places, A, dA, strict=True):
        heatmap = maps.to_image(method(*arrays).map, Box.whole(place.shape), place.shape, "linear")
        peaks.append(maps.peak(heatmap))
    return np.mean([peak is not None and place[peak[::-1]] for peak, place in zip(peaks, places, strict=True)])


@pytest.mark.parametrize("case", ["signal", *SLOW])
def test_peak_lies_on_the_event(case):
    accuracy, *arrays = passes(case)
    assert accuracy >= 0.95
    assert fraction_on_event(*arrays) >= 0.95


WRONG = {
    "evidence against the class": lambda A, dA: gradcam(A, -dA),
    "reversed": lambda A, dA: gradcam(A[::-1], dA),
    "weights of other channels": lambda A, dA: gradcam(A, np.roll(dA, 1, -1)),
    "axes in another order": lambda A, dA: gradcam(A.reshape(*A.shape[:-1][::-1], -1).transpose(_reversed(A)), dA),
}


def _reversed(A):
    return (*range(A.ndim - 1)[::-1], A.ndim - 1)


@pytest.mark.parametrize("case", ["signal", *SLOW])
@pytest.mark.parametrize("name", WRONG)
def test_peak_of_a_wrong_formula_lies_elsewhere(case, name):
    _, *arrays = passes(case)
    if case != "signal" or name != "axes in another order":  # a signal has one axis
        assert fraction_on_event(*arrays, WRONG[name]) < 0.95


@pytest.mark.extended
def test_peak_of_a_segmentation_lies_on_the_ball():
    """The map of the voxels of its class has its peak on the ball, and with the gradients negated it has not."""
    x, classes, places = (each[balls(HELD_OUT, 2)[1] < 2] for each in balls(HELD_OUT, 2))
    model = load_model(trained_unet(balls), preprocess="none").for_target(parse_target("segment"), "segment")
    assert model.class_count == 3
    network = model.traced.gradient_function([model.find_layer("last")], "logit")
    result = network(x, classes[:, None].astype(np.int32))
    assert fraction_on_event(places, result.A[0], result.dA[0][0]) >= 0.95
    assert fraction_on_event(places, result.A[0], result.dA[0][0], WRONG["evidence against the class"]) < 0.95
