"""Scores and gradients of the targets against tapes that are written out here."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812

from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.network.gradients import compile_gradient_function
from gradcam_cli.network.scorer import ModelScorer
from gradcam_cli.network.target import Target, parse_target

X = np.random.default_rng(3).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
U, V = np.float32([1, -2, 0.5]), np.float32([0.3, 1, 1])


@pytest.fixture(scope="module")
def parts():
    """A model with four outputs, and its features and heads."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((8, 8, 3))
    A = L.Conv2D(4, 3, padding="same", activation="relu", name="features")(inputs)
    pixels = L.Conv2D(3, 1, name="pixel_logits")(A)
    outputs = {
        "mask": L.Softmax()(pixels),
        "anchors": L.Activation("sigmoid")(L.Reshape((64, 3))(pixels)),
        "embedding": L.Dense(3, name="embedding_dense")(L.GlobalAveragePooling2D()(A)),
    }
    return keras.Model(inputs, outputs)


def cosine(f, g):
    return tf.reduce_sum(f * g, -1) / (tf.norm(f, axis=-1) * np.linalg.norm(g))


def reference(model, target, c):
    """The score y_c and its gradient, from a tape over the layers."""
    layer = model.get_layer
    A = tf.constant(layer("features")(X))
    with tf.GradientTape() as tape:
        tape.watch(A)
        z = layer("pixel_logits")(A)
        if target.kind == "segment":
            region = target.region
            won = tf.cast(tf.argmax(z, -1) == c, tf.float32)
            area = {"object": won, "all": tf.ones_like(won)}.get(region) if isinstance(region, str) else None
            y = z[:, region[1], region[0], c] if area is None else tf.reduce_sum(z[..., c] * area, (1, 2))
        elif target.kind == "detection":
            y = tf.reduce_max(z[..., c], (1, 2))
        else:
            f = layer("embedding_dense")(tf.reduce_mean(A, (1, 2)))
            y = cosine(f, U) - (cosine(f, V) if len(target.files) == 2 else 0)
    return y.numpy(), tape.gradient(y, A).numpy()


TARGETS = [
    (Target("segment", "mask", "object"), 0),
    (Target("segment", "mask", "all"), 1),
    (Target("segment", "mask", (5, 2)), 2),
    (Target("detection", head="anchors"), 1),
    (Target("similarity", "embedding", files=("u",), embeddings=(U,)), 0),
    (Target("similarity", "embedding", files=("u", "v"), embeddings=(U, V)), 0),
]


@pytest.mark.parametrize(("target", "c"), TARGETS)
def test_score_and_gradient_equal_those_of_a_tape(parts, target, c):
    y, dA = reference(parts, target, c)
    result = compile_gradient_function(parts, ["features"], target=target)(X, np.full((2, 1), c, np.int32))
    np.testing.assert_allclose(result.y[:, c], y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result.dA[0][0], dA, rtol=1e-5, atol=1e-6)
    scores = ModelScorer(parts, "features", "logit", "float32", 2, target=target).scores(X)
    np.testing.assert_allclose(scores[:, c], y, rtol=1e-5, atol=1e-5)


def test_top_segment_has_the_largest_area(parts):
    target = Target("segment", "mask", "all")
    result = compile_gradient_function(parts, ["features"], target=target)(X, np.full((2, 1), -1, np.int32))
    won = np.argmax(parts(X)["mask"].numpy(), -1).reshape(2, -1)
    assert result.classes[:, 0].tolist() == [np.bincount(row, minlength=3).argmax() for row in won]


def test_probability_of_a_segment_is_the_mean_over_its_pixels(parts):
    result = compile_gradient_function(parts, ["features"], target=Target("segment", "mask"))(X, np.int32([[1], [1]]))
    p = parts(X)["mask"].numpy()
    won = p.argmax(-1) == 1
    for i in range(2):
        assert result.probabilities[i, 1] == pytest.approx(p[i, won[i], 1].mean(), rel=1e-5)
        assert result.ranked_by[i, 1] == won[i].sum()


OF_RANK = {
    1: ((12, 2), L.Conv1D, (5,)),
    3: ((4, 6, 8, 2), L.Conv3D, (5, 3, 2)),
}


@pytest.mark.parametrize("rank", OF_RANK)
@pytest.mark.parametrize("region", ["object", "all", "one"])
def test_segments_of_signals_and_volumes_equal_those_of_a_tape(rank, region):
    """A region (x, y, z) is the voxel in slice z, row y and column x, also of an output of half the size."""
    shape, conv, place = OF_RANK[rank]
    keras.utils.set_random_seed(6)
    inputs = keras.Input(shape)
    features = conv(4, 3, padding="same", activation="relu", name="features", strides=2)(inputs)
    model = keras.Model(inputs, conv(3, 1, name="scores")(features))
    x = np.random.default_rng(4).normal(size=(2, *shape)).astype(np.float32)
    A = tf.constant(model.get_layer("features")(x))
    with tf.GradientTape() as tape:
        tape.watch(A)
        z = model.get_layer("scores")(A)
        if region == "one":
            y = z[:, 2, 1] if rank == 1 else z[:, 1, 1, 2, 1]  # half of slice 2, row 3 and column 5
        else:
            won = tf.cast(tf.argmax(z, -1) == 1, tf.float32) if region == "object" else tf.ones_like(z[..., 0])
            y = tf.reduce_sum(z[..., 1] * won, tuple(range(1, rank + 1)))
    target = Target("segment", region=place if region == "one" else region)
    result = compile_gradient_function(model, ["features"], target=target)(x, np.int32([[1], [1]]))
    np.testing.assert_allclose(result.y[:, 1], y, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(result.dA[0][0], tape.gradient(y, A), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ((5, 3), "expected a voxel of the model input, 0,0,0 to 7,5,3, got 5,3"),
        ((5, 3, 4), "0,0,0 to 7,5,3, got 5,3,4"),
    ],
)
def test_voxel_outside_a_volume_is_refused(region, message):
    inputs = keras.Input((4, 6, 8, 1))
    model = keras.Model(inputs, L.Conv3D(3, 1)(L.Conv3D(3, 3, padding="same", name="features")(inputs)))
    compiled = compile_gradient_function(model, ["features"], target=Target("segment", region=region))
    with pytest.raises(ModelError, match=message):
        compiled(np.zeros((1, 4, 6, 8, 1), np.float32), np.zeros((1, 1), np.int32))


def test_detections_in_volumes_are_refused():
    inputs = keras.Input((4, 4, 4, 1))
    model = keras.Model(inputs, L.Reshape((-1, 3))(L.Conv3D(3, 3, padding="same", name="features")(inputs)))
    compiled = compile_gradient_function(model, ["features"], target=Target("detection"))
    with pytest.raises(ModelError, match="--target detection requires a model of images"):
        compiled(np.zeros((1, 4, 4, 4, 1), np.float32), np.zeros((1, 1), np.int32))


def test_probability_needs_an_activation():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, L.Conv2D(3, 3, name="features")(inputs) / 2)
    with pytest.raises(ModelError, match="not shown to be probabilities"):
        compile_gradient_function(model, ["features"], "probability", target=Target("segment"))(
            X, np.zeros((2, 1), np.int32)
        )


def test_pixel_outside_the_input_is_refused(parts):
    with pytest.raises(ModelError, match="expected a pixel of the model input, 0,0 to 7,7, got 3,8"):
        compile_gradient_function(parts, ["features"], target=Target("segment", "mask", (3, 8)))(
            X, np.zeros((2, 1), np.int32)
        )


@pytest.mark.parametrize(
    "text", "- dog segment: segment:1, segment:1,2,3,4 class:x detection:2 similarity segment@:all".split()
)
def test_unknown_targets_are_refused(text):
    with pytest.raises(UsageError, match="target: expected"):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("class", ("class", None, "object", ())),
        ("class@species", ("class", "species", "object", ())),
        ("segment@mask:all", ("segment", "mask", "all", ())),
        ("segment:12,7", ("segment", None, (12, 7), ())),
        ("segment:12", ("segment", None, (12,), ())),
        ("segment@mask:12,7,3", ("segment", "mask", (12, 7, 3), ())),
        ("detection@1", ("detection", "1", "object", ())),
        ("similarity:a.png,b c.png", ("similarity", None, "object", ("a.png", "b c.png"))),
        ("similarity@f:s3://bucket/a.png", ("similarity", "f", "object", ("s3://bucket/a.png",))),
    ],
)
def test_targets_are_parsed(text, fields):
    target = parse_target(text)
    assert (target.kind, target.head, target.region, target.files) == fields


def test_output_of_another_rank_is_refused(parts):
    with pytest.raises(ModelError, match="expected class scores of each pixel"):
        compile_gradient_function(parts, ["features"], target=Target("segment", "embedding"))(
            X, np.zeros((2, 1), np.int32)
        )


def test_probability_of_a_similarity_is_refused(parts):
    target = Target("similarity", "embedding", files=("u",), embeddings=(U,))
    with pytest.raises(ModelError, match="a similarity is not a probability"):
        compile_gradient_function(parts, ["features"], "probability", target=target)(X, np.zeros((2, 1), np.int32))
