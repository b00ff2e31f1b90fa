"""Colors of a map, blending with the image, clipping, gray background, and hatching outside the crop."""

import matplotlib
import numpy as np
import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.images.box import Box
from gradcam_cli.output.colors import clip_limit, color_table, opacities, overlay, render_heatmap
from gradcam_cli.output.render_options import RenderOptions, render_options

ALL = Box(0, 0, 40, 20)


def draw(image, values, **options):
    """Draw a row of values over a row of gray or RGB pixels."""
    pixels = np.array(image, np.uint8)
    pixels = pixels[:, None].repeat(3, axis=1) if pixels.ndim == 1 else pixels
    box = Box(0, 0, len(pixels), 1)
    return overlay(pixels[None], np.array([values], np.float32), box, RenderOptions(**options))[0]


def test_colors_equal_matplotlib():
    """0, 0.5 and 1 have the colors of matplotlib's colormap."""
    map_ = np.array([[0, 128 / 255, 1]])
    expected = np.round(matplotlib.colormaps["jet"]([0, 128, 255])[:, :3] * 255)
    np.testing.assert_array_equal(render_heatmap(map_, Box(0, 0, 3, 1), "jet")[0], expected)


@pytest.mark.parametrize("cmap", ["gray", "viridis", "jet"])
@pytest.mark.parametrize("opacity", [0, 0.3, 1])
def test_zero_leaves_the_image_as_it_is(cmap, opacity):
    """All 256 values of a pixel are unchanged where the map is 0."""
    image = np.arange(256)
    np.testing.assert_array_equal(draw(image, np.zeros(256), cmap=cmap, opacity=opacity)[:, 0], image)


def test_opacity_follows_the_value():
    """With opacity 0.5, the maximum is half image and half color; 0.4 has the opacity 0.2."""
    # 0.5 * 200 + 0.5 * 255 = 227.5; 0.8 * 200 + 0.2 * 102 = 180.4
    assert draw([200, 200], [1, 0.4], cmap="gray", opacity=0.5)[:, 0].tolist() == [228, 180]
    red = matplotlib.colormaps["jet"](255)[0] * 255  # 127.5, drawn as 128
    assert draw([100], [1], cmap="jet", opacity=0.5)[0].tolist() == [(100 + round(red)) / 2, 50, 50]


def test_constant_opacity():
    """At opacity 0.25 each value is a quarter of the color: the mix of the article."""
    # 0.75 * 200 + 0.25 * 255 = 213.75, + 0.25 * 0 = 150
    options = {"cmap": "gray", "blend": "constant"}
    assert draw([200, 200], [1, 0], opacity=0.25, **options)[:, 0].tolist() == [214, 150]
    assert draw([200, 200], [1, 0], opacity=0, **options)[:, 0].tolist() == [200, 200]


@pytest.mark.parametrize("blend", ["opacity", "constant"])
@pytest.mark.parametrize("opacity", [0.5, 0.7, 1])
def test_integers_differ_from_the_formula_by_at_most_one(blend, opacity):
    """Random pixels and values: (1 - a) image + a color, computed in float64."""
    rng = np.random.default_rng(0)
    image, values = rng.integers(0, 256, (20, 40, 3), dtype=np.uint8), rng.random((20, 40)).astype(np.float32)
    options = RenderOptions(cmap="viridis", opacity=opacity, blend=blend)
    level = np.round(values * 255)
    a = opacity * (level / 255 if blend == "opacity" else np.ones_like(level))
    color = np.round(matplotlib.colormaps["viridis"](level.astype(int))[..., :3] * 255)
    expected = (1 - a[..., None]) * image + a[..., None] * color
    assert np.abs(overlay(image, values, ALL, options) - expected).max() <= 1


def test_gray_background_is_the_luminance():
    """Pure red has the luminance 0.299 * 255 = 76 (ITU-R 601)."""
    assert draw([[255, 0, 0]], [0], background="gray")[0].tolist() == [76, 76, 76]
    assert draw([[255, 0, 0]], [0])[0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("percent", [0.5, 2, 25])
def test_clip_limit_is_the_percentile(percent):
    """That many pixels have the last color, and values below keep their proportions."""
    heatmap = np.random.default_rng(1).random((100, 100)).astype(np.float32) ** 4
    limit = clip_limit(heatmap, percent)
    assert limit == pytest.approx(np.percentile(heatmap, 100 - percent))
    drawn = render_heatmap(heatmap, Box(0, 0, 100, 100), "gray", limit)[..., 0]
    assert (drawn == 255).mean() == pytest.approx(percent / 100, abs=0.01)
    below = heatmap < limit
    np.testing.assert_allclose(drawn[below], heatmap[below] / limit * 255, atol=1)


def test_maps_with_few_positive_pixels_are_not_clipped():
    """If the percentile is 0, the scale ends at the maximum; nothing is divided by zero."""
    heatmap = np.zeros((10, 10), np.float32)
    heatmap[3, 4] = 1
    assert clip_limit(heatmap, 2) == 1
    assert clip_limit(np.zeros((3, 3)), 2) == 1
    assert clip_limit(heatmap, 0) == 1


def test_opacities_of_the_colors():
    assert opacities(RenderOptions(opacity=0.5, blend="constant")).tolist() == [0.5] * 256
    assert opacities(RenderOptions(opacity=0.5))[[0, 51, 255]].tolist() == [0, 0.1, 0.5]


def test_pixels_outside_the_crop_are_gray():
    """Outside the crop all pixels are gray; inside they equal those without crop."""
    image = np.random.default_rng(0).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    drawn = overlay(image, np.ones((20, 40)), Box(10, 0, 30, 20))
    full = overlay(image, np.ones((20, 40)), ALL)
    np.testing.assert_array_equal(drawn[:, 10:30], full[:, 10:30])
    outside = np.concatenate([drawn[:, :10], drawn[:, 30:]], 1)
    assert (outside == outside[..., :1]).all()


def test_unknown_colormap_is_refused():
    with pytest.raises(UsageError, match="--cmap rainbows"):
        color_table("rainbows")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"opacity": 1.5}, "opacity: expected a number from 0 to 1, got 1.5"),
        ({"blend": "screen"}, "blend: expected one of opacity, constant"),
        ({"background": "black"}, "background: expected one of photo, gray"),
        ({"contours": [0.5, 1.0]}, "contours: expected a number between 0 and 1, got 1.0"),
        ({"clip": 100}, "clip: expected a number from 0 to below 100"),
        ({"dpi": 0}, "dpi: expected a number above 0"),
    ],
)
def test_wrong_options_are_named(values, words):
    with pytest.raises(UsageError, match=words):
        render_options(**values)
