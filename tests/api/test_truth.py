"""`truth` and `expect` of `explain` and `explain_many`: the right, the wrong and the expected class of an image."""

import numpy as np
import pytest
from color_network import paint, write_color_network

from gradcam_cli import explain, explain_many, load_model
from gradcam_cli.errors import InputError, UsageError


@pytest.fixture(scope="module")
def colors(tmp_path_factory):
    """The network of colors, and images in the folders of their classes; the green one is blue."""
    folder = tmp_path_factory.mktemp("truth")
    model = load_model(write_color_network(folder / "colors.keras"), preprocess="0..1")
    paint(folder / "red/a.png", (255, 51, 0))
    paint(folder / "green/a.png", (0, 51, 255))
    paint(folder / "pink/a.png", (255, 0, 0))
    return folder, model


def test_true_class_is_the_name_of_the_folder(colors):
    """The green image is wrong: its mean of green, 51/255, is the second of the three scores."""
    folder, model = colors
    right, wrong, unknown = (explain(folder / name / "a.png", model, truth="parent").truth for name in NAMES)
    assert (right.state, right.rank) == ("right", 1)
    assert (wrong.state, wrong.rank, wrong.true.index, wrong.predicted.index) == ("wrong", 2, 1, 2)
    assert wrong.true.logit == pytest.approx(0.2)
    assert (unknown.state, unknown.label) == ("unknown", "pink")


NAMES = ("red", "green", "pink")


def test_true_class_of_a_table(colors, tmp_path):
    folder, model = colors
    table = tmp_path / "truth.csv"
    table.write_text("image,class\nred/a.png,blue\n")
    explanation = explain(folder / "red/a.png", model, truth=table, target_class="truth")
    assert explanation.prediction.index == 2
    assert explanation.truth.rank == 3
    with pytest.raises(InputError, match=r"pink.*its true class is unknown"):
        explain(folder / "pink/a.png", model, truth=table, target_class="truth")


def test_expected_class_comes_with_the_difference_of_the_maps(colors, tmp_path):
    """The maps of Grad-CAM are 1/64 of the activations of their channel: 1/64 of 1 for blue, of 51/255 for green."""
    folder, model = colors
    predicted, expected = explain_many([folder / "green/a.png"], model, expect="green")
    assert (predicted.prediction.index, expected.prediction.index) == (2, 1)
    np.testing.assert_allclose(predicted.cam, np.full((8, 8), 1 / 64), rtol=1e-5)
    np.testing.assert_allclose(expected.cam, np.full((8, 8), 0.2 / 64), rtol=1e-5)
    np.testing.assert_allclose(expected.difference, np.full((8, 8), 0.8 / 64), rtol=1e-5)
    alone = explain(folder / "green/a.png", model, expect=1)
    np.testing.assert_array_equal(alone.difference, expected.difference)
    assert alone.truth.expected
    assert alone.save(tmp_path / "both.png", "difference").stat().st_size > 1000


def test_an_array_has_no_folder(colors):
    """The name of the working directory is no true class of it; the class of a table may be."""
    _, model = colors
    array = np.zeros((8, 8, 3), np.uint8)
    assert explain(array, model, truth="parent").truth.label is None
    assert [each.truth.state for each in explain_many([array, array], model, truth="parent")] == ["unknown"] * 2
    assert explain(array, model, expect="red").truth.true.index == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"expect": "red", "truth": "parent"}, "^expect and truth exclude each other: expect explains"),
        ({"expect": "red", "target_class": 1}, "^expect and target_class exclude each other"),
        ({"expect": "pink"}, "^expect: class 'pink' not found"),
        ({"target_class": "truth"}, "^class truth requires truth"),
        ({"truth": "missing.csv"}, r"^truth missing\.csv cannot be read"),
        ({"truth": "parent", "target": "segment"}, "^truth: expected a model with a class for each image, got target"),
    ],
)
def test_errors_are_those_of_the_command_in_python_words(colors, options, message):
    folder, model = colors
    with pytest.raises(UsageError, match=message):
        explain(folder / "red/a.png", model, **options)
