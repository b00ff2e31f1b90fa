"""Maps of signals, volumes and films from the array to the map, against tapes and sums written out here."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from gradcam_cli import explain, explain_many, load_model
from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.load import Failure

SIDE = 16
RNG = np.random.default_rng(0)


def network(shape, kernel, filters=4, name="net"):
    """A convolution with ReLU, the mean over all places, and three classes."""
    rank = len(shape) - 1
    convolution = getattr(keras.layers, f"Conv{rank}D")(
        filters, kernel, padding="same", strides=2, activation="relu", name="conv"
    )
    pooling = getattr(keras.layers, f"GlobalAveragePooling{rank}D")()
    model = keras.Sequential([keras.Input(shape), convolution, pooling, keras.layers.Dense(3)], name=name)
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape).astype(np.float32) for weight in model.get_weights()])
    return model


def gradcam_by_tape(model, x, c):
    """The map (t,) of one input (T, k), and its scores: the paper's two equations, on a tape of their own."""
    convolution, pooling, dense = model.layers
    with tf.GradientTape() as tape:
        A = convolution(x[None])
        tape.watch(A)
        y = dense(pooling(A))
        y_c = y[0, c]
    alpha = tf.reduce_mean(tape.gradient(y_c, A), axis=1)
    return tf.nn.relu(tf.reduce_sum(alpha[:, None] * A, -1))[0].numpy(), y[0].numpy()


def test_a_long_signal_is_the_weighted_mean_of_the_maps_of_its_windows():
    """40 samples under windows of 16 at 0, 8, 16 and 24: maps from tapes, upsampled and summed by hand."""
    model = network((SIDE, 2), 5)
    signal = RNG.normal(size=(40, 2)).astype(np.float32)
    starts = (0, 8, 16, 24)
    scores = np.mean([gradcam_by_tape(model, signal[s : s + SIDE], 0)[1] for s in starts], axis=0)
    top = int(scores.argmax())
    places = np.arange(SIDE) + 0.5
    triangle = np.minimum(places, SIDE - places)
    total, weight = np.zeros(40), np.zeros(40)
    for s in starts:
        L, _ = gradcam_by_tape(model, signal[s : s + SIDE], top)
        cells = np.clip(places / 2, 0.5, len(L) - 0.5)  # the centers of cells lie at 0.5, 1.5, ...
        upsampled = np.interp(cells, np.arange(len(L)) + 0.5, L)
        total[s : s + SIDE] += triangle * upsampled
        weight[s : s + SIDE] += triangle
    explanation = explain(signal, model, "conv", score="output")
    np.testing.assert_allclose(explanation.cam, total / weight, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(explanation.heatmap, explanation.cam / explanation.cam.max(), rtol=1e-5)
    assert explanation.prediction.index == top
    assert explanation.windows == 4
    assert explanation.predictions[0].value == pytest.approx(scores[top], rel=1e-4)
    record = explanation.to_dict()
    assert (record["kind"], record["windows"], record["fit"]) == ("signal", 4, "windows")
    assert record["map"]["peak"] == [int((total / weight).argmax())]


def test_the_rank_of_a_class_is_that_of_its_mean_over_all_windows():
    model = network((SIDE, 2), 5)
    signal = RNG.normal(size=(40, 2)).astype(np.float32)
    named = [each.cam for each in explain_many([signal], model, classes=["0", "1", "2"], score="output")]
    ranked = list(explain_many([signal], model, classes="top3", score="output"))
    assert [each.prediction.value for each in ranked] == sorted((e.prediction.value for e in ranked), reverse=True)
    for each in ranked:
        np.testing.assert_array_equal(each.cam, named[each.prediction.index])


@pytest.mark.parametrize("method", ["gradcam", "layercam", "saliency", "occlusion", "integrated-gradients"])
def test_a_volume_of_equal_slices_has_the_planar_map_in_each_slice(method):
    """A kernel of one slice, and a stride along the depth that keeps the slices apart: the planar network, D times."""
    planar = network((SIDE, SIDE, 2), 3)
    convolution = keras.layers.Conv3D(4, (1, 3, 3), padding="same", strides=(1, 2, 2), activation="relu", name="conv")
    volume = keras.Sequential(
        [keras.Input((3, SIDE, SIDE, 2)), convolution, keras.layers.GlobalAveragePooling3D(), keras.layers.Dense(3)]
    )
    kernel, *others = planar.get_weights()
    volume.set_weights([kernel[None], *others])
    image = RNG.normal(size=(SIDE, SIDE, 2)).astype(np.float32)
    stack = np.repeat(image[None], 3, axis=0)
    options = {"layer": "conv", "method": method, "score": "output", "target_class": 1}
    flat, deep = explain(image, planar, **options), explain(stack, volume, **options)
    assert deep.space.kind == "volume"
    if method == "occlusion":  # a patch of one slice of three lowers the score by a third of its planar drop
        np.testing.assert_allclose(deep.cam, np.repeat(flat.cam[None] / 3, 3, 0), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(deep.heatmap, np.repeat(flat.heatmap[None], 3, 0), rtol=1e-3, atol=1e-4)


def test_a_film_is_seen_at_equal_distances_and_its_map_has_all_frames():
    model = network((4, SIDE, SIDE, 3), 3)
    film = RNG.integers(0, 256, (20, SIDE, SIDE, 3), np.uint8)
    explanation = explain(film, model, "conv", axes="THWC", preprocess="0..1", score="output")
    alone = explain(film[[2, 7, 12, 17]], model, "conv", axes="THWC", preprocess="0..1", score="output")
    np.testing.assert_array_equal(explanation.cam, alone.cam)
    assert explanation.heatmap.shape == (20, SIDE, SIDE)
    assert explanation.to_dict()["kind"] == "film"
    assert explanation.settings.fit == "squash"


def test_windows_over_a_photo_show_it_at_its_own_size():
    """Two windows side by side that overlap by half: three of the width of the model."""
    model = network((SIDE, SIDE, 3), 3)
    photo = RNG.integers(0, 256, (SIDE, 2 * SIDE, 3), np.uint8)
    explanation = explain(photo, model, "conv", fit="windows", preprocess="0..1", score="output", target_class=0)
    assert explanation.windows == 3
    alone = [
        explain(photo[:, s : s + SIDE], model, "conv", preprocess="0..1", score="output", target_class=0)
        for s in (0, 8, 16)
    ]
    mean = np.mean([each.prediction.value for each in alone])
    assert explanation.prediction.value == pytest.approx(mean, rel=1e-4)


def test_where_one_window_alone_shows_a_place_its_map_is_that_of_the_window():
    """The first eight of 32 columns are under the first window only; the maps are means of six copies."""
    model = network((SIDE, SIDE, 3), 3)
    photo = RNG.integers(0, 256, (SIDE, 2 * SIDE, 3), np.uint8)
    options = {"layer": "conv", "preprocess": "0..1", "score": "output", "target_class": 0, "aug_smooth": True}
    blended, alone = explain(photo, model, fit="windows", **options), explain(photo[:, :SIDE], model, **options)
    np.testing.assert_allclose(blended.cam[:, :8], alone.heatmap[:, :8] * alone.heatmap_max, rtol=1e-4, atol=1e-5)


def test_an_input_of_the_size_of_the_model_needs_no_windows():
    model = network((SIDE, 2), 5)
    signal = RNG.normal(size=(SIDE, 2)).astype(np.float32)
    explanation = explain(signal, model, "conv", score="output", target_class=2)
    L, y = gradcam_by_tape(model, signal, 2)
    np.testing.assert_allclose(explanation.cam, L, rtol=1e-4, atol=1e-6)
    assert explanation.prediction.value == pytest.approx(y[2], rel=1e-4)
    assert explanation.windows == 0


def test_a_short_signal_is_padded_with_the_mean_of_each_channel():
    model = network((SIDE, 2), 5)
    signal = RNG.normal(size=(10, 2)).astype(np.float32)
    padded = np.concatenate([np.repeat(signal.mean(0)[None], 3, 0), signal, np.repeat(signal.mean(0)[None], 3, 0)])
    short, full = (explain(each, model, "conv", score="output", target_class=2) for each in (signal, padded))
    np.testing.assert_allclose(short.cam, full.cam, rtol=1e-4, atol=1e-5)
    assert short.heatmap.shape == (10,)
    assert short.crop_box == (-3, 13)


def test_inputs_that_do_not_fit_are_refused_with_both_sizes():
    model = load_model(network((SIDE, 2), 5))
    with pytest.raises(InputError, match="2 channels"):
        explain(RNG.normal(size=(40, 3)).astype(np.float32), model, score="output")
    with pytest.raises(UsageError, match="aug_smooth: expected a model of images"):
        explain(np.zeros((SIDE, 2), np.float32), model, score="output", aug_smooth=True)


def test_nan_in_one_window_fails_the_input():
    model = network((SIDE, 1), 5)
    model.set_weights([100 * weight for weight in model.get_weights()])
    signal = np.full((40, 1), 1.0, np.float32)
    signal[30] = np.float32(3e38)  # the products are infinite
    (failure,) = explain_many([signal], model, score="output", on_error="yield")
    assert isinstance(failure, Failure)
    assert "NaN or infinity" in failure.error
