"""Kinds of transformers, each as three parts: what precedes the layer that `auto` must choose, this layer, the rest.

The model is the composition of its parts; the reference calls them one after the other, with a tape over the rest.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import CLASSES, SIZE, Ops, chain, residual

WIDTH, HEADS, PATCH = 12, 2, 4
CELLS = SIZE // PATCH


class Kind(NamedTuple):
    """h = stem(x), A = layer(h), y = rest(h, A).

    Attributes:
        stem: from the image to what the layer takes.
        layer: the layer that `auto` must choose, or a function that ends with it.
        rest: from h and A to the logits.
        name: the name of the layer.
        cells: from A to (n, u, v, k), upright.
    """

    stem: Any
    layer: Any
    rest: Any
    name: str
    cells: Any

    def logits(self, x):
        h = self.stem(x)
        return self.rest(h, self.layer(h))

    def model(self):
        x = keras.Input((SIZE, SIZE, 3))
        return keras.Model(x, L.Softmax()(self.logits(x)))


@keras.saving.register_keras_serializable("battery")
class Prefix(L.Layer):
    """Learned positions for the patches, and learned tokens before them."""

    def __init__(self, count, **options):
        super().__init__(**options)
        self.count = count

    def build(self, shape):
        self.positions = self.add_weight(shape=(1, *shape[1:]), name="positions", initializer="random_normal")
        self.tokens = self.add_weight(shape=(1, self.count, shape[2]), name="tokens", initializer="random_normal")

    def call(self, x):
        if not self.count:
            return x + self.positions
        tokens = keras.ops.broadcast_to(self.tokens, (keras.ops.shape(x)[0], *self.tokens.shape[1:]))
        return keras.ops.concatenate([tokens, x + self.positions], 1)


@keras.saving.register_keras_serializable("battery")
class LayerScale(L.Layer):
    """Channels times learned factors."""

    def build(self, shape):
        self.gamma = self.add_weight(shape=shape[-1:], name="gamma", initializer="random_normal")

    def call(self, x):
        return x * self.gamma


@keras.saving.register_keras_serializable("battery")
class OwnAttention(L.Layer):
    """Attention written out: one matrix for queries, keys and values."""

    def __init__(self, width=WIDTH, heads=HEADS, **options):
        super().__init__(**options)
        self.heads, self.qkv, self.out = heads, L.Dense(3 * width), L.Dense(width)

    def call(self, x):
        n, tokens, width = keras.ops.shape(x)
        qkv = keras.ops.reshape(self.qkv(x), (n, tokens, 3, self.heads, width // self.heads))
        q, k, v = keras.ops.unstack(keras.ops.transpose(qkv, (2, 0, 3, 1, 4)), 3)
        A = keras.ops.softmax(q @ keras.ops.swapaxes(k, -1, -2) * (width // self.heads) ** -0.5, -1)
        return self.out(keras.ops.reshape(keras.ops.swapaxes(A @ v, 1, 2), (n, tokens, width)))


def patches(width=WIDTH):
    return L.Conv2D(width, PATCH, PATCH), L.Reshape((CELLS * CELLS, width))


def mlp(width=WIDTH):
    return L.LayerNormalization(), L.Dense(2 * width, activation="gelu"), L.Dense(width)


def attention():
    inner = L.MultiHeadAttention(HEADS, WIDTH // HEADS)
    return lambda x: inner(x, x)


def pre_norm(attend=attention, scale=False):
    """A block: the attention of the normalization, and the perceptron of the normalization."""
    scales = [[LayerScale()] if scale else [] for _ in range(2)]
    return chain(residual(L.LayerNormalization(), attend(), *scales[0]), residual(*mlp(), *scales[1]))


def scaled_block():
    return pre_norm(scale=True)


def post_norm():
    """A block as in the first transformer: the normalization follows the sum."""
    return chain(
        residual(attention()),
        L.LayerNormalization(),
        residual(*mlp()[1:]),
        L.LayerNormalization(),
    )


def tokens(prefix, cells=CELLS):
    return lambda A: tf.reshape(A[:, prefix:], (-1, cells, cells, A.shape[-1]))


def token(index=0):
    return lambda x: x[:, index]


def class_head():
    return chain(token(), L.Dense(CLASSES))


def mean_head(prefix=0):
    return chain(lambda x: x[:, prefix:], L.GlobalAveragePooling1D(), L.Dense(CLASSES))


def by_class_token(prefix, head, attend=attention, scale=False):
    """The last attention is the last layer from which the class token takes anything from the patches."""
    norm, last, add = L.LayerNormalization(), attend(), L.Add()
    scales = [LayerScale()] if scale else []
    after = chain(residual(*mlp()), L.LayerNormalization(), head)
    return Kind(
        chain(*patches(), Prefix(prefix), pre_norm(attend, scale), pre_norm(attend, scale)),
        norm,
        lambda h, A: after(add([h, chain(last, *scales)(A)])),
        norm.name,
        tokens(prefix),
    )


def by_patches(prefix, head, block=pre_norm, first=patches):
    """The last normalization is the last layer; `head` pools all its patches."""
    norm = L.LayerNormalization()
    stem = chain(*first(), Prefix(prefix), block(), block())
    return Kind(stem, norm, lambda h, A: head(A), norm.name, tokens(prefix))


def mirrored():
    """Tokens from right to left."""
    kind = by_patches(0, mean_head(), first=lambda: (Ops(lambda x: x[:, :, ::-1]), *patches()))
    return kind._replace(cells=lambda A: tokens(0)(A)[:, :, ::-1])


def column_major():
    """Tokens column by column."""
    kind = by_patches(0, mean_head(), first=lambda: (patches()[0], L.Permute((2, 1, 3)), patches()[1]))
    return kind._replace(cells=lambda A: tf.transpose(tokens(0)(A), (0, 2, 1, 3)))


def post_norm_class_token():
    last = post_norm()
    norm = L.LayerNormalization()
    stem = chain(
        *patches(), Prefix(1), post_norm(), residual(attention()), L.LayerNormalization(), residual(*mlp()[1:])
    )
    head = chain(last, class_head())
    return Kind(stem, norm, lambda h, A: head(A), norm.name, tokens(1))


def distilled():
    """DeiT: the mean of the scores of the class token and of the distillation token."""
    first, second, mean = chain(token(0), L.Dense(CLASSES)), chain(token(1), L.Dense(CLASSES)), L.Average()
    return by_class_token(2, lambda x: mean([first(x), second(x)]))


def class_token_and_mean(prefix):
    """The linear classifier of DINOv2: the class token beside the mean of the patches."""
    concatenate, dense, mean = L.Concatenate(), L.Dense(CLASSES), L.GlobalAveragePooling1D()
    return lambda x: dense(concatenate([x[:, 0], mean(x[:, prefix:])]))


KINDS = {
    "class token": lambda: by_class_token(1, class_head()),
    "attention written out": lambda: by_class_token(1, class_head(), OwnAttention),
    "class token and registers": lambda: by_class_token(5, class_head()),
    "mean of all tokens": lambda: by_patches(0, mean_head()),
    "mean of the patches beside registers": lambda: by_patches(4, mean_head(4)),
    "class token, normalization after the sum": post_norm_class_token,
    "mean, normalization after the sum": lambda: by_patches(0, mean_head(), post_norm),
    "tokens from right to left": mirrored,
    "tokens column by column": column_major,
    "DeiT": distilled,
    "DINOv2": lambda: by_class_token(5, class_head(), scale=True),
    "DINOv2, class token beside the mean": lambda: by_patches(5, class_token_and_mean(5), scaled_block),
}
