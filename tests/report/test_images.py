"""The images of a report, pixel by pixel."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from gradcam_cli.images.box import Box
from gradcam_cli.output.colors import color_table
from gradcam_cli.output.render_options import RenderOptions
from gradcam_cli.output.views import Shown
from gradcam_cli.pipeline.saved import SavedMap
from gradcam_cli.reporting.image_store import ReportImages
from gradcam_cli.reporting.thumbnails import encode_map, encode_source_image, encode_thumbnail


def decode(data):
    return Image.open(io.BytesIO(data))


def test_map_is_transparent_outside_the_model_input():
    """Inside the crop box, pixels have the colors of the map's values, opaque with a constant opacity."""
    heatmap = np.zeros((40, 80), np.float32)
    heatmap[:, 60:] = 1
    image = decode(encode_map(heatmap, Box(40, 0, 80, 40), RenderOptions("viridis", blend="constant")))
    assert image.size == (320, 160)
    pixels = np.asarray(image.convert("RGBA"))
    colors = color_table("viridis")
    np.testing.assert_array_equal(pixels[80, 300], [*colors[255], 255])
    np.testing.assert_array_equal(pixels[80, 200], [*colors[1], 255])
    assert not pixels[:, :160, 3].any()
    assert pixels[:, 160:, 3].all()


def test_opacity_of_the_map_follows_its_value():
    """The maximum is opaque, 0.4 has the opacity 0.4 and the color of 0.4, zero is almost invisible."""
    heatmap = np.repeat(np.array([0, 0.4, 1], np.float32), 40)[np.newaxis].repeat(40, axis=0)
    pixels = np.asarray(decode(encode_map(heatmap, Box(0, 0, 120, 40), RenderOptions("jet"))).convert("RGBA"))
    alpha = pixels[50, [20, 160, 300], 3]
    np.testing.assert_allclose(alpha, [0, 0.4 * 255, 255], atol=1.5)
    np.testing.assert_allclose(pixels[50, 160, :3], color_table("jet")[102], atol=4)


def test_map_of_the_whole_image_is_opaque():
    image = decode(encode_map(np.eye(7, dtype=np.float32), Box(-3, 0, 10, 7), RenderOptions(blend="constant")))
    assert "transparency" not in image.info


def test_clipped_values_have_the_last_color():
    """Values above the limit are drawn as the maximum, half of the limit as half."""
    heatmap = np.repeat(np.array([0.1, 0.2, 1], np.float32), 40)[np.newaxis].repeat(40, axis=0)
    options = RenderOptions("gray", blend="constant")
    pixels = np.asarray(decode(encode_map(heatmap, Box(0, 0, 120, 40), options, 0.2)).convert("RGB"))
    np.testing.assert_allclose(pixels[50, [20, 160, 300], 0], [128, 255, 255], atol=2)


def test_small_images_are_stored_without_loss():
    image = np.random.default_rng(0).integers(0, 256, (28, 30, 3), np.uint8)
    np.testing.assert_array_equal(np.asarray(decode(encode_source_image(image))), image)


def test_large_images_are_downsampled():
    assert decode(encode_source_image(np.zeros((1000, 500, 3), np.uint8))).size == (320, 640)


def test_thumbnail_blends_image_and_map():
    """A white image under the maximum of a map at opacity 0.5: 0.5 * 255 + 0.5 * color."""
    image, heatmap = np.full((100, 400, 3), 255, np.uint8), np.ones((100, 400), np.float32)
    thumbnail = decode(encode_thumbnail(Shown(image, heatmap, Box(0, 0, 400, 100)), RenderOptions("jet", 0.5)))
    assert thumbnail.size == (200, 50)
    expected = (255 + color_table("jet")[255].astype(float)) / 2
    np.testing.assert_allclose(np.asarray(thumbnail)[20, 100], expected, atol=4)


def test_maps_of_an_image_have_separate_files(tmp_path):
    images = ReportImages(tmp_path)
    shown = Shown(np.zeros((9, 9, 3), np.uint8), np.ones((9, 9), np.float32), Box(0, 0, 9, 9))
    first, second = (images.draw_image("a", map_id, shown, {}) for map_id in ("x", "y"))
    assert first["image"] == second["image"]
    assert first["thumbnail"] != second["thumbnail"]
    assert images.draw_map("a", "x", shown, {}) != images.draw_map("a", "y", shown, {})
    assert len(list((tmp_path / "report").iterdir())) == 5


@pytest.mark.parametrize(("fit", "covered"), [("squash", (0, 0, 1, 1)), ("pad", (0, -0.5, 1, 1.5))])
def test_saved_maps_have_the_numbers_of_their_cells(tmp_path, fit, covered):
    """A square input shows an image of 40 x 80 pixels with bars above and below, each half as high as the image."""
    cells = np.random.default_rng(0).random((4, 4)).astype(np.float32)
    height = round(40 * (covered[3] - covered[1]))
    whole = ndimage.zoom(cells, (height / 4, 20), order=1, mode="nearest", grid_mode=True)
    heatmap = whole[(height - 40) // 2 :][:40]
    saved = SavedMap({"fit": fit, "method": "gradcam"}, heatmap / heatmap.max(), cells)
    levels = ReportImages(tmp_path).saved_levels(saved)
    assert (levels["width"], levels["exact"], levels.get("box", [0, 0, 1, 1])) == (4, True, list(covered))


def test_saved_map_of_an_unknown_part_covers_the_image(tmp_path):
    heatmap = np.random.default_rng(0).random((40, 80)).astype(np.float32)
    saved = SavedMap({"fit": "crop", "method": "gradcam"}, heatmap, np.ones((4, 4), np.float32))
    levels = ReportImages(tmp_path).saved_levels(saved)
    assert (levels["width"], levels["height"], "box" in levels) == (80, 40, False)
