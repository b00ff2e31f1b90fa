"""A network of the eight corners of a cube, for inputs of any number of spatial axes; its maps on mosaics are known.

x_i in 0..1 are the channels of a cell, and corner c = (c_0, c_1, c_2) is an input whose cells all are c.
A_c = relu(1 - |x - c|_1) = 1 in the cells of the corner c and 0 in those of others; A_8 = x_0
y_c = 10 mean(A_c) + 2 mean(A_8)
"""

import keras
import numpy as np
from keras import layers as L  # noqa: N812

SHAPES = {1: (4,), 2: (4, 6), 3: (4, 6, 2)}
"""Spatial shapes of model inputs, by their number of axes."""
CORNERS = np.array([[i >> bit & 1 for bit in (2, 1, 0)] for i in range(8)], np.float32)
OWN, SHARED = 10, 2
"""Weights of the own and of the shared channel."""


def corner_network(shape):
    """Return the network for inputs of a spatial shape; a side of None is any length."""
    rank = len(shape)
    convolution = (L.Conv1D, L.Conv2D, L.Conv3D)[rank - 1]
    mean = (L.GlobalAveragePooling1D, L.GlobalAveragePooling2D, L.GlobalAveragePooling3D)[rank - 1]
    inputs = keras.Input((*shape, 3))
    conv, head = convolution(9, 1, activation="relu", name="conv"), L.Dense(8, activation="softmax", name="head")
    network = keras.Model(inputs, head(mean()(conv(inputs))))
    kernel = np.concatenate([2 * CORNERS.T - 1, [[1], [0], [0]]], axis=1)
    conv.set_weights([kernel.reshape(*[1] * rank, 3, 9), np.array([*(1 - CORNERS.sum(axis=1)), 0])])
    head.set_weights([np.concatenate([OWN * np.eye(8), np.full((1, 8), SHARED)]), np.zeros(8)])
    return network


def corner_arrays(shape):
    """Return an input of each corner, (8, spatial axes..., 3) float32."""
    return np.broadcast_to(CORNERS.reshape(8, *[1] * len(shape), 3), (8, *shape, 3)).copy()
