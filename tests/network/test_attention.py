"""Attention rollout and LeGrad of whole networks against an independent program, and networks that are refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hierarchical_kinds import mit, swin
from keras import layers as L  # noqa: N812
from model_kinds import CLASSES, SIZE, Ops, block, chain, conv
from quick_cases import first_quick
from transformer_kinds import OwnAttention, Prefix, class_head, mean_head, patches, pre_norm, token

from gradcam_cli import explain
from gradcam_cli.errors import ModelError
from gradcam_cli.network.subgraph import bottlenecks, recomputed

IMAGE = np.random.default_rng(7).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
X = tf.constant(IMAGE[None].astype(np.float32) / 255)


class Transformer:
    """Its parts, so that the reference can call them: embedding, blocks (normalization before or after), end."""

    def __init__(self, prefix, head, depth=3, post_norm=False):
        keras.utils.set_random_seed(2)
        self.prefix, self.post_norm = prefix, post_norm
        self.embed = chain(*patches(), Prefix(prefix))
        self.blocks = [
            (
                L.LayerNormalization(),
                L.MultiHeadAttention(2, 6),
                L.LayerNormalization(),
                L.Dense(24, "gelu"),
                L.Dense(12),
            )
            for _ in range(depth)
        ]
        self.end = chain(L.LayerNormalization(), head)

    def after_attention(self, x, context, norms_and_mlp):
        first, _, second, *mlp = norms_and_mlp
        if self.post_norm:
            x = first(x + context)
            return second(x + chain(*mlp)(x))
        x = x + context
        return x + chain(second, *mlp)(x)

    def model(self):
        x = keras.Input((SIZE, SIZE, 3))
        z = self.embed(x)
        for parts in self.blocks:
            tokens = z if self.post_norm else parts[0](z)
            z = self.after_attention(z, parts[1](tokens, tokens), parts)
        return keras.Model(x, self.end(z))

    def passes(self, c):
        """A^l and ds^l_c/dA^l of all layers, with attention computed from the weights."""
        z, maps, scores = self.embed(X), [], []
        with tf.GradientTape(persistent=True) as tape:
            for parts in self.blocks:
                q, q0, k, k0, v, v0, o, o0 = parts[1].get_weights()
                tokens = z if self.post_norm else parts[0](z)
                queries, keys, values = (
                    tf.einsum("ntd,dhk->nhtk", tokens, w) + b[:, None] for w, b in ((q, q0), (k, k0), (v, v0))
                )
                A = tf.nn.softmax(tf.einsum("nhik,nhjk->nhij", queries, keys) / np.sqrt(6))
                tape.watch(A)
                z = self.after_attention(z, tf.einsum("nhij,nhjk,hkd->nid", A, values, o) + o0, parts)
                maps.append(A)
                scores.append(self.end(z)[0, c])
        own = [tape.gradient(s, A)[0].numpy() for s, A in zip(scores, maps, strict=True)]
        final = [tape.gradient(scores[-1], A)[0].numpy() for A in maps]
        return [A[0].numpy() for A in maps], own, final


def two_tokens():
    first, second, mean = chain(token(0), L.Dense(CLASSES)), chain(token(1), L.Dense(CLASSES)), L.Average()
    return lambda x: mean([first(x), second(x)])


TRANSFORMERS = {
    "class token": (lambda: Transformer(1, class_head()), [0]),
    "class token and registers": (lambda: Transformer(5, class_head()), [0]),
    "two class tokens": (lambda: Transformer(2, two_tokens()), [0, 1]),
    "mean": (lambda: Transformer(0, mean_head()), slice(0, None)),
    "mean of the patches": (lambda: Transformer(3, mean_head(3)), slice(3, None)),
    "normalization after the sum": (lambda: Transformer(1, class_head(), post_norm=True), [0]),
    "one layer": (lambda: Transformer(1, class_head(), depth=1), [0]),
}


def relative(got, expected):
    assert got.shape == expected.shape
    return np.linalg.norm(got - expected) / np.linalg.norm(expected)


def mean_of_positive(gradients, prefix):
    E = sum(np.maximum(dA, 0).sum((0, 1)) / dA.shape[0] / dA.shape[1] for dA in gradients)[prefix:] / len(gradients)
    return (E - E.min()).reshape(6, 6)


@pytest.mark.slow
@pytest.mark.parametrize("name", first_quick(TRANSFORMERS, 3))
def test_rollout_and_legrad(name):
    """Both maps equal those of a program that computes attention from the weights, to 1e-5 of their norm."""
    make, pooled = TRANSFORMERS[name]
    network = make()
    model = network.model()
    maps, own, final = network.passes(1)
    R = np.eye(maps[0].shape[-1])
    for A in maps[::-1]:
        R = R @ (np.eye(len(R)) + A.mean(0)) / 2
    found = {
        method: explain(IMAGE, model, preprocess="0..1", method=method, target_class=1).cam
        for method in ("rollout", "legrad")
    }
    assert relative(found["rollout"], R[pooled].mean(0)[network.prefix :].reshape(6, 6)) <= 1e-5
    assert relative(found["legrad"], mean_of_positive(own, network.prefix)) <= 1e-5
    if len(maps) > 1:  # the gradient of the last score alone is another map
        assert relative(found["legrad"], mean_of_positive(final, network.prefix)) > 1e-2


def functional(*layers):
    keras.utils.set_random_seed(1)
    x = keras.Input((SIZE, SIZE, 3))
    return keras.Model(x, chain(*layers)(x))


def attention_pooling():
    """One learned query takes from all tokens."""
    query = L.Embedding(1, 12)
    inner = L.MultiHeadAttention(2, 6)
    zeros = Ops(lambda x: tf.zeros((tf.shape(x)[0], 1), tf.int32))
    return lambda x: inner(query(zeros(x)), x)[:, 0]


BETWEEN = "not between all its tokens"
REFUSED = {
    "convolutions": (lambda: functional(conv(), L.GlobalAveragePooling2D(), L.Dense(3)), "rollout", "no attention"),
    "windows": (lambda: swin().model(), "rollout", BETWEEN),
    "fewer keys": (lambda: mit().model(), "legrad", BETWEEN),
    "attention pooling": (
        lambda: functional(*patches(), Prefix(0), block(), attention_pooling(), L.Dense(3)),
        "rollout",
        BETWEEN,
    ),
    "another number of tokens": (
        lambda: functional(
            *patches(), Prefix(0), block(), L.Reshape((6, 6, 12)), L.Conv2D(12, 2, 2), L.Reshape((9, 12)), block(),
            L.GlobalAveragePooling1D(), L.Dense(3),
        ),
        "rollout",
        BETWEEN,
    ),
    "rolled image": (
        lambda: functional(Ops(lambda x: tf.roll(x, 5, 1)), *patches(), Prefix(0), block(), mean_head()),
        "rollout",
        "not shown to be places|no layer whose output is a grid",
    ),
    "layers that differ": (
        lambda: functional(
            *patches(), Prefix(1), pre_norm(), lambda x: keras.ops.tanh(x), pre_norm(), class_head()
        ),
        "legrad",
        "layers of the model differ",
    ),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", REFUSED)
def test_networks_without_such_attention_are_refused(name):
    make, method, words = REFUSED[name]
    with pytest.raises(ModelError, match=words):
        explain(IMAGE, make(), preprocess="0..1", method=method)


@pytest.mark.slow
def test_attention_written_out_is_found():
    """The maps do not depend on how attention is written: the same weights in another layer give the same maps."""
    own = OwnAttention()
    inner = L.MultiHeadAttention(2, 6)
    parts = chain(*patches(), Prefix(1)), L.LayerNormalization(), chain(L.LayerNormalization(), class_head())
    add = L.Add()

    def model(attend):
        def tokens(x):
            z = parts[0](x)
            return parts[2](add([z, attend(parts[1](z))]))

        return functional(tokens)

    first, second = model(own), model(lambda x: inner(x, x))
    qkv, bias = (w.reshape(*w.shape[:-1], 3, 2, 6) for w in own.qkv.get_weights())
    out, out_bias = own.out.get_weights()
    inner.set_weights([w for i in range(3) for w in (qkv[..., i, :, :], bias[i])] + [out.reshape(2, 6, 12), out_bias])
    for method in ("rollout", "legrad"):
        cams = [explain(IMAGE, each, preprocess="0..1", method=method, target_class=2).cam for each in (first, second)]
        assert relative(cams[0], cams[1]) <= 1e-5


def test_map_covers_the_patches():
    """Four rows are cropped at the top, two columns at the left and six at the right: 5x4 patches cover the rest."""
    crop, embed, flat = L.Cropping2D(((4, 0), (2, 6))), L.Conv2D(12, 4, 4), L.Reshape((20, 12))
    model = functional(crop, embed, flat, Prefix(1), block(), class_head())
    result = explain(IMAGE, model, preprocess="0..1", method="rollout")
    assert result.cam.shape == (5, 4)
    assert tuple(result.map_box) == (2, 4, 18, 24)
    assert not result.heatmap[:4].any()


def test_bottlenecks_are_the_tensors_that_all_paths_pass():
    """Of x -> a -> (b, c) -> sum -> y, the branches b and c are passed by one path only."""
    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, (2,))
        a = tf.exp(x)
        total = tf.sin(a) + tf.cos(a) * 2.0
        y = tf.tanh(total)
        assert [tensor.name for tensor in bottlenecks(x, y)] == [a.name, total.name, y.name]


def test_recomputed_end():
    """Tanh(sin v + x cos v) for v in the place of exp(x), which the other branch keeps."""
    function = tf.function(lambda x, v: recompute(x, v), autograph=False)

    def recompute(x, v):
        a = tf.exp(x)
        return recomputed(tf.tanh(tf.sin(a) + x * tf.cos(a)), a, v)

    x, v = np.float32([0.5, 1]), np.float32([2, -1])
    np.testing.assert_allclose(function(tf.constant(x), tf.constant(v)), np.tanh(np.sin(v) + x * np.cos(v)), rtol=1e-5)
