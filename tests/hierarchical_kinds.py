"""Kinds of hierarchical networks, as in `transformer_kinds`: Swin, MiT and ConvNeXt."""

import numpy as np
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import CLASSES, Ops, chain, residual
from transformer_kinds import CELLS, HEADS, PATCH, WIDTH, Kind, LayerScale, mean_head, mlp, tokens


def windowed(side, shift, cells, width=WIDTH):
    """Swin: attention within windows of cells, which are shifted by half a window in every other block."""
    count = cells // side
    part = np.zeros((cells, cells))
    for i, rows in enumerate((slice(0, -side), slice(-side, -shift), slice(-shift, None))):
        for j, columns in enumerate((slice(0, -side), slice(-side, -shift), slice(-shift, None))):
            part[rows, columns] = 3 * i + j
    part = part.reshape(count, side, count, side).transpose(0, 2, 1, 3).reshape(-1, side * side)
    same = (part[:, :, None] == part[:, None]).reshape(count * count, side * side, side * side)

    def split(x):
        x = tf.roll(tf.reshape(x, (-1, cells, cells, width)), (-shift, -shift), (1, 2))
        x = tf.transpose(tf.reshape(x, (-1, count, side, count, side, width)), (0, 1, 3, 2, 4, 5))
        return tf.reshape(x, (-1, side * side, width))

    def merge(x):
        x = tf.transpose(tf.reshape(x, (-1, count, count, side, side, width)), (0, 1, 3, 2, 4, 5))
        x = tf.roll(tf.reshape(x, (-1, cells, cells, width)), (shift, shift), (1, 2))
        return tf.reshape(x, (-1, cells**2, width))

    inner, split, merge = L.MultiHeadAttention(HEADS, width // HEADS), Ops(split), Ops(merge)
    masks = Ops(lambda x: tf.tile(tf.constant(same), (tf.shape(x)[0] // count**2, 1, 1)))

    def attend(x):
        windows = split(x)
        return merge(inner(windows, windows, attention_mask=masks(windows) if shift else None))

    return chain(residual(L.LayerNormalization(), attend), residual(*mlp(width)))


def swin():
    """Two stages of two blocks, with patch merging between."""
    halved = CELLS // 2

    def merging(x):
        x = tf.reshape(x, (-1, 2 * CELLS, 2 * CELLS, WIDTH))
        x = tf.concat([x[:, i::2, j::2] for i, j in ((0, 0), (1, 0), (0, 1), (1, 1))], -1)
        return tf.reshape(x, (-1, CELLS * CELLS, 4 * WIDTH))

    embed = L.Conv2D(WIDTH, PATCH // 2, PATCH // 2), L.Reshape((4 * CELLS * CELLS, WIDTH)), L.LayerNormalization()
    first = windowed(4, 0, 2 * CELLS), windowed(4, 2, 2 * CELLS)
    second = windowed(halved, 0, CELLS, 2 * WIDTH), windowed(halved, 1, CELLS, 2 * WIDTH)
    norm, head = L.LayerNormalization(), mean_head()
    stem = chain(*embed, *first, Ops(merging), L.LayerNormalization(), L.Dense(2 * WIDTH), *second)
    return Kind(stem, norm, lambda h, A: head(A), norm.name, tokens(0))


def reduced(cells, width, ratio):
    """MiT: attention to fewer keys, and a perceptron with a depthwise convolution between tokens."""
    inner = L.MultiHeadAttention(HEADS, width // HEADS)
    to_map, to_tokens = L.Reshape((cells, cells, width)), L.Reshape((-1, width))
    fewer = chain(to_map, L.Conv2D(width, ratio, ratio), to_tokens, L.LayerNormalization())
    to_wide = L.Reshape((cells, cells, 2 * width))
    mix = to_wide, L.DepthwiseConv2D(3, padding="same"), L.Activation("gelu"), L.Reshape((-1, 2 * width))
    return chain(
        residual(L.LayerNormalization(), lambda x: inner(x, fewer(x))),
        residual(L.LayerNormalization(), L.Dense(2 * width), *mix, L.Dense(width)),
    )


def mit():
    """Two stages of overlapping patches; tokens become a map after each."""
    cells = CELLS // 2
    first = L.Conv2D(WIDTH, 7, PATCH, padding="same"), L.Reshape((-1, WIDTH)), L.LayerNormalization()
    second = L.Conv2D(2 * WIDTH, 3, 2, padding="same"), L.Reshape((-1, 2 * WIDTH)), L.LayerNormalization()
    norm = L.LayerNormalization()
    stem = chain(
        *first, reduced(CELLS, WIDTH, 2), L.LayerNormalization(), L.Reshape((CELLS, CELLS, WIDTH)),
        *second, reduced(cells, 2 * WIDTH, 1),
    )  # fmt: skip
    to_map = L.Reshape((cells, cells, 2 * WIDTH))
    head = chain(to_map, L.GlobalAveragePooling2D(), L.Dense(CLASSES))
    return Kind(stem, norm, lambda h, A: head(A), norm.name, tokens(0, cells=cells))


def convnext():
    """Depthwise 7x7, normalization, perceptron and layer scale; the sum of the last block is the last place."""

    def branch(width):
        return chain(
            L.DepthwiseConv2D(7, padding="same"), L.LayerNormalization(), L.Dense(2 * width, activation="gelu"),
            L.Dense(width), LayerScale(),
        )  # fmt: skip

    last, add = branch(2 * WIDTH), L.Add()
    stem = chain(
        L.Conv2D(WIDTH, PATCH, PATCH), L.LayerNormalization(), residual(branch(WIDTH)),
        L.LayerNormalization(), L.Conv2D(2 * WIDTH, 2, 2), residual(branch(2 * WIDTH)),
    )  # fmt: skip
    head = chain(L.GlobalAveragePooling2D(), L.LayerNormalization(), L.Dense(CLASSES))
    return Kind(stem, lambda h: add([h, last(h)]), lambda h, A: head(A), add.name, lambda A: A)


KINDS = {"Swin": swin, "MiT": mit, "ConvNeXt": convnext}
