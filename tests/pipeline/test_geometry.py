"""Maps of models that crop, pad, flip or transpose their input lie where the evidence is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from model_kinds import Ops

from gradcam_cli import explain, load_model
from gradcam_cli.errors import UsageError

H, W = 160, 320
SQUARE = 20


def brightness_model(*before):
    """A model whose score of class 0 is the mean brightness, in cells of 5x5 pixels of what the layers before show."""
    x = inputs = keras.Input((H, W, 3))
    x = L.Rescaling(1 / 255)(x)
    for layer in before:
        x = layer(x)
    gray = L.Conv2D(1, 1, use_bias=False, kernel_initializer=keras.initializers.Constant(1 / 3))(x)
    cells = L.AveragePooling2D(5, name="cells")(gray)
    head = L.Dense(2, use_bias=False)
    model = keras.Model(inputs, L.Softmax()(head(L.GlobalAveragePooling2D()(cells))))
    head.kernel.assign([[1.0, 0.0]])
    return model


KINDS = {
    "plain": ([], (60, 100)),
    "cropping": ([L.Cropping2D(((70, 25), (0, 0)))], (80, 150)),
    "center crop": ([L.CenterCrop(80, 160)], (45, 85)),
    "resize and crop": ([L.Resizing(80, 80, crop_to_aspect_ratio=True)], (30, 100)),
    "resize and pad": ([L.Resizing(320, 320, pad_to_aspect_ratio=True)], (100, 280)),
    "padding": ([L.ZeroPadding2D(((200, 0), (0, 100)))], (20, 30)),
    "slice": ([Ops(lambda x: x[:, 40:, :200])], (130, 20)),
    "flip": ([Ops(lambda x: x[:, ::-1, ::-1])], (10, 20)),
    "transposition": ([Ops(lambda x: tf.transpose(x, (0, 2, 1, 3)))], (120, 280)),
    "flip of a crop": ([L.Cropping2D(((0, 60), (100, 0))), Ops(lambda x: x[:, :, ::-1])], (20, 290)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_peak_lies_on_the_bright_square(kind):
    """The peak lies within a cell of the only bright square, wherever the model looks."""
    before, (y, x) = KINDS[kind]
    image = np.full((H, W, 3), 10, np.uint8)
    image[y : y + SQUARE, x : x + SQUARE] = 250
    result = explain(image, brightness_model(*before), "cells", target_class=0)
    peak_x, peak_y = result.peak
    assert y - 6 <= peak_y < y + SQUARE + 6
    assert x - 6 <= peak_x < x + SQUARE + 6


def test_map_is_zero_where_the_model_does_not_look():
    """Of a model that crops 70 rows at the top and 25 at the bottom, the map covers the rest exactly."""
    image = np.full((H, W, 3), 128, np.uint8)
    result = explain(image, brightness_model(L.Cropping2D(((70, 25), (0, 0)))), "cells", target_class=0)
    assert not result.heatmap[:70].any()
    assert not result.heatmap[135:].any()
    np.testing.assert_allclose(result.heatmap[70:135], 1, rtol=1e-5)
    assert result.map_box == result.input_box == (0, 70, W, 135)


def test_boxes_of_a_crop_of_a_larger_image():
    """An image of twice the size: the same rows, in pixels of the image and of the model input."""
    image = np.full((2 * H, 2 * W, 3), 128, np.uint8)
    result = explain(image, brightness_model(L.Cropping2D(((70, 25), (0, 0)))), "cells", target_class=0)
    assert (result.map_box, result.input_box) == ((0, 140, 2 * W, 270), (0, 70, W, 135))


def test_mirrored_copies_require_a_symmetric_layer():
    model = load_model(brightness_model(L.Cropping2D(((0, 0), (100, 0)))))
    with pytest.raises(UsageError, match="asymmetrically"):
        explain(np.zeros((H, W, 3), np.uint8), model, "cells", aug_smooth=True)
