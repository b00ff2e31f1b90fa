"""A network of four colors whose maps on mosaics are known by hand, and photos of these colors.

A_c = 1 in the cells of color c and 0 elsewhere, for red, green, blue and black; A_5 = 1 in all cells but black ones
y_c = 10 mean(A_c) + 2 mean(A_5)
"""

import keras
import numpy as np
from keras import layers as L  # noqa: N812
from PIL import Image

SIDE = 8
COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "black": (0, 0, 0)}
OWN, SHARED = 10, 2
"""Weights of the own and of the shared channel."""


def tile_network(side=SIDE, shared=SHARED):
    """Return the network; `shared=0` makes it local: the score of a color depends on the cells of this color only."""
    kernel = np.array([[1, -1, -1, -1, 1], [-1, 1, -1, -1, 1], [-1, -1, 1, -1, 1]])[None, None]
    network = keras.Sequential(
        [
            keras.Input((side, side, 3)),
            L.Conv2D(5, 1, activation="relu", name="conv"),
            L.GlobalAveragePooling2D(name="mean"),
            L.Dense(4, activation="softmax", name="predictions"),
        ]
    )
    network.get_layer("conv").set_weights([kernel, np.array([0, 0, 0, 1, 0])])
    weights = np.concatenate([OWN * np.eye(4), np.full((1, 4), shared)])
    network.get_layer("predictions").set_weights([weights, np.zeros(4)])
    return network


def color_photos(folder, colors=COLORS):
    """Write an image of each color, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in colors:
        Image.new("RGB", (SIDE, SIDE), COLORS[name]).save(folder / f"{name}.png")
    return folder


def color_arrays(repeats=1):
    """Return the same images as arrays (n, h, w, 3)."""
    return np.array([np.full((SIDE, SIDE, 3), color, np.uint8) for color in COLORS.values()] * repeats)
