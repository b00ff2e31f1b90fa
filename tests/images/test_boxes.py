"""Boxes of detectors: their formats, the crop of the image, and the outline in a picture."""

import keras
import numpy as np
import pytest

from gradcam_cli.errors import InputError
from gradcam_cli.images.box import Box
from gradcam_cli.images.boxes import draw_box, to_image_box
from gradcam_cli.network.target import BOX_FORMATS

INPUT = (100, 200)  # h, w
CORNERS = {  # the box with x from 20 to 60 and y from 30 to 80
    "xyxy": (20, 30, 60, 80),
    "yxyx": (30, 20, 80, 60),
    "xywh": (20, 30, 40, 50),
    "center_xywh": (40, 55, 40, 50),
    "rel_xyxy": (0.1, 0.3, 0.3, 0.8),
    "rel_yxyx": (0.3, 0.1, 0.8, 0.3),
    "rel_xywh": (0.1, 0.3, 0.2, 0.5),
    "rel_center_xywh": (0.2, 0.55, 0.2, 0.5),
}


@pytest.mark.parametrize("box_format", BOX_FORMATS)
def test_each_format_is_the_same_box(box_format):
    """In an image of the size of the input, in one of twice its width, and in the middle of a larger one."""
    numbers = np.float32(CORNERS[box_format])
    assert to_image_box(numbers, box_format, Box(0, 0, 200, 100), INPUT) == (20, 30, 60, 80)
    assert to_image_box(numbers, box_format, Box(0, 0, 400, 100), INPUT) == (40, 30, 120, 80)
    assert to_image_box(numbers, box_format, Box(50, 10, 250, 110), INPUT) == (70, 40, 110, 90)


@pytest.mark.parametrize("box_format", ["xyxy", "yxyx", "center_xywh", "rel_xyxy", "rel_yxyx"])
def test_formats_are_those_of_keras(box_format):
    convert = keras.utils.bounding_boxes.convert_format
    boxes = {"boxes": np.float32([[CORNERS[box_format]]]), "labels": np.zeros((1, 1))}
    theirs = convert(boxes, source=box_format, target="xyxy", height=100, width=200)["boxes"]
    np.testing.assert_allclose(np.asarray(theirs)[0, 0], CORNERS["xyxy"], atol=1e-3)


@pytest.mark.parametrize("numbers", [(20, 30, 10, 80), (20, 30, 20, 80), (np.nan, 0, 1, 1), (0, 0, np.inf, 1)])
def test_empty_boxes_are_refused(numbers):
    with pytest.raises(InputError, match="is empty or not finite") as caught:
        to_image_box(np.float32(numbers), "xyxy", Box(0, 0, 200, 100), INPUT)
    assert "detection:FORMAT" in caught.value.hint


def test_the_outline_is_white_between_black_lines():
    pixels = draw_box(np.full((20, 30, 3), 100, np.uint8), Box(5, 6, 15, 16))
    assert pixels[10, 3:8, 0].tolist() == [100, 0, 255, 0, 100]
    assert pixels[10, 12:17, 0].tolist() == [100, 0, 255, 0, 100]
    assert pixels[4:9, 10, 0].tolist() == [100, 0, 255, 0, 100]
    assert (pixels != 100).any(2).sum() == 12 * 12 - 6 * 6


@pytest.mark.parametrize("box", [Box(-50, -50, 500, 500), Box(25, 15, 60, 60), Box(-9, 3, -2, 9), Box(4, 4, 5, 5)])
def test_outlines_at_the_border_are_cut(box):
    assert draw_box(np.full((20, 30, 3), 100, np.uint8), box).shape == (20, 30, 3)
