"""A layer is explained only if the chosen output depends on it, also if another output does."""

import keras
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli.errors import ModelError
from gradcam_cli.models.classifier import load_model


@keras.saving.register_keras_serializable("tests")
class OneOfTwo(keras.Model):
    """Returns the first of two outputs; the second one has the later and deeper layers."""

    def __init__(self):
        super().__init__()
        x = inputs = keras.Input((12, 12, 3))
        x = L.Conv2D(4, 3, activation="relu", name="shared")(x)
        first = L.Conv2D(4, 3, activation="relu", name="first")(x)
        second = L.Conv2D(4, 3, activation="relu", name="second")(x)
        second = L.Conv2D(4, 3, activation="relu", name="second_too")(second)
        outputs = [L.Dense(3, name=name)(L.GlobalAveragePooling2D()(y)) for name, y in (("a", first), ("b", second))]
        self.both = keras.Model(inputs, outputs, name="both")

    def build(self, shape):
        self.built = True

    def call(self, x):
        return self.both(x)[0]


@pytest.fixture(scope="module")
def classifier():
    model = OneOfTwo()
    model(keras.ops.zeros((1, 12, 12, 3)))
    return load_model(model, preprocess="0..1", input_size=(12, 12))


def test_auto_skips_layers_of_the_other_output(classifier):
    """`second_too` is called last, but only the other output depends on it."""
    assert classifier.find_layer("auto").path.endswith("first")


@pytest.mark.parametrize("name", ["second", "second_too"])
def test_layer_of_the_other_output_is_refused_by_name(classifier, name):
    with pytest.raises(ModelError, match=f"the score does not depend on layer .*{name}"):
        classifier.find_layer(name)


def test_layer_of_both_outputs_is_accepted(classifier):
    assert classifier.find_layer("shared").path.endswith("shared")


def test_selected_output_has_only_its_layers(classifier):
    """As the error about several outputs suggests: keras.Model(model.input, model.output[0])."""
    both = classifier.model.both
    selected = load_model(keras.Model(both.input, both.output[0]), preprocess="0..1")
    assert [output.path for output in selected.layer_outputs] == ["shared", "first"]


def test_several_outputs_are_refused():
    """Without a choice, a score of one output is not defined."""
    with pytest.raises(ModelError, match="one output of shape"):
        _ = load_model(OneOfTwo().both, preprocess="0..1").class_count
