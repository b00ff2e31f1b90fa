"""`auto` on many kinds of networks: layer, logits and map against an independent GradientTape, to 1e-5."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import CLASSES, ENDS, FEATURES, HEADS, POOLED_TOKENS, SIZE, ResidualUnit, Tokens, block, chain, conv

from gradcam_cli import explain

IMAGE = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
X = IMAGE[None].astype(np.float32) / 255


def build(features, head, end):
    """The composition of the three parts as a Keras model."""
    x = keras.Input((SIZE, SIZE, 3))
    return keras.Model(x, end(head(features(x))))


def reference(features, head, c):
    """Grad-CAM of class c, with a tape over the head alone: pre-ReLU map in the layout of A, and the logits."""
    x = keras.Input((SIZE, SIZE, 3))
    A = keras.Model(x, features(x))(X, training=False)
    with tf.GradientTape() as tape:
        tape.watch(A)
        logits = head(A)
        y_c = logits[:, c]
    axes = tuple(range(1, len(A.shape) - 1))
    alpha = tf.reduce_mean(tape.gradient(y_c, A), axes, keepdims=True)
    return tf.reduce_sum(alpha * A, -1)[0].numpy(), logits[0].numpy()


def upright(kind, cells):
    """The map in the orientation of the image."""
    if kind == "mirrored inside":
        return cells[:, ::-1]
    if kind == "transposed inside":
        return cells.T
    return cells.reshape(6, 6) if kind in POOLED_TOKENS else cells


def check(kind, features, head, end):
    model = build(features, head, end)
    for c in range(CLASSES):
        result = explain(IMAGE, model, preprocess="0..1", target_class=c)
        expected, logits = reference(features, head, c)
        expected = upright(kind, expected)
        assert result.cam_pre_relu.shape == expected.shape
        assert np.linalg.norm(result.cam_pre_relu - expected) <= 1e-5 * np.linalg.norm(expected)
        assert result.prediction.logit == pytest.approx(logits[c], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("kind", FEATURES)
def test_features(kind):
    keras.utils.set_random_seed(3)
    check(kind, FEATURES[kind](), HEADS["tokens" if kind in POOLED_TOKENS else "average"](), ENDS["softmax"]())


@pytest.mark.parametrize("kind", [kind for kind in HEADS if kind != "tokens"])
def test_heads(kind):
    keras.utils.set_random_seed(4)
    check(kind, FEATURES["residual"](), HEADS[kind](), ENDS["softmax"]())


@pytest.mark.parametrize("kind", ENDS)
def test_ends(kind):
    keras.utils.set_random_seed(5)
    features, head, end = FEATURES["convolution"](), HEADS["flat"](), ENDS[kind]()
    check(kind, features, head, end)
    output = keras.tree.flatten(build(features, head, end)(X))[0].numpy()[0]
    probabilities = explain(IMAGE, build(features, head, end), preprocess="0..1", top_k=CLASSES).predictions
    if kind not in ("logits", "log softmax"):
        for prediction in probabilities:
            assert prediction.probability == pytest.approx(output[prediction.index], rel=1e-5)


def test_class_token():
    """The last tokens that affect the score are those before the last attention: their normalization."""
    keras.utils.set_random_seed(6)
    first = chain(L.Conv2D(12, 4, 4), L.Reshape((36, 12)), Tokens(class_token=True), block())
    norm, attention = L.LayerNormalization(name="last_norm"), L.MultiHeadAttention(2, 6)
    head = chain(L.LayerNormalization(), L.Lambda(lambda x: x[:, 0]), L.Dense(CLASSES))
    x = keras.Input((SIZE, SIZE, 3))
    before = first(x)
    tokens = norm(before)
    model = keras.Model(x, head(L.Add()([before, attention(tokens, tokens)])))
    result = explain(IMAGE, model, preprocess="0..1", target_class=1)
    assert result.layer == "last_norm"
    before = first(tf.constant(X))
    with tf.GradientTape() as tape:
        tokens = norm(before)
        tape.watch(tokens)
        y_c = head(before + attention(tokens, tokens))[:, 1]
    dA = tape.gradient(y_c, tokens)[:, 1:]
    expected = tf.reduce_sum(tf.reduce_mean(dA, 1, keepdims=True) * tokens[:, 1:], -1).numpy().reshape(6, 6)
    assert np.linalg.norm(result.cam_pre_relu - expected) <= 1e-5 * np.linalg.norm(expected)


def test_enclosing_layer_that_ends_smaller_is_not_chosen():
    """A unit that ends with pooling is as good as its last convolution with more cells, which `auto` keeps."""
    keras.utils.set_random_seed(0)
    model = build(chain(conv(), ResidualUnit(pool=True)), HEADS["average"](), ENDS["softmax"]())
    result = explain(IMAGE, model, preprocess="0..1")
    assert result.cam.shape == (SIZE, SIZE)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_policies(policy):
    """In half precision the map differs by rounding only."""
    keras.utils.set_random_seed(3)
    exact = build(FEATURES["residual"](), HEADS["average"](), ENDS["softmax"]())
    try:
        keras.config.set_dtype_policy(policy)
        half = build(FEATURES["residual"](), HEADS["average"](), ENDS["float32 after half precision"]())
    finally:
        keras.config.set_dtype_policy("float32")
    half.set_weights(exact.get_weights())
    maps = [explain(IMAGE, model, preprocess="0..1", target_class=1).cam_pre_relu for model in (exact, half)]
    assert np.linalg.norm(maps[0] - maps[1]) < 0.05 * np.linalg.norm(maps[0])
