"""A single linear output is a value, unless there is evidence of a binary classifier."""

import json

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812

from gradcam_cli import explain, load_model
from gradcam_cli.errors import ModelError, UsageError

IMAGE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


def single(activation=None, name="age", **options):
    """A network with one output near 58."""
    keras.utils.set_random_seed(1)
    dense = L.Dense(1, activation=activation, bias_initializer=keras.initializers.Constant(58.0), name=name)
    return keras.Sequential(
        [keras.Input((16, 16, 3)), L.Conv2D(8, 3, activation="relu"), L.GlobalAveragePooling2D(), dense], **options
    )


def own(model):
    return float(model(IMAGE[None] / np.float32(255)).numpy()[0, 0])


def test_regression_has_a_value_and_no_probability():
    """Value and gradient are those of the output itself: the map is that of the logit of a binary classifier."""
    model = single()
    result = explain(IMAGE, model, preprocess="0..1")
    assert result.prediction.value == pytest.approx(own(model), rel=1e-5)
    assert np.isnan(result.prediction.probability)
    assert result.prediction.logit is None
    assert "p =" not in result.title
    assert f"y = {own(model):.4g}" in result.title
    binary = explain(IMAGE, model, preprocess="0..1", task="binary", target_class=1)
    np.testing.assert_allclose(result.cam, binary.cam, rtol=1e-5)
    assert binary.prediction.probability == pytest.approx(1 / (1 + np.exp(-own(model))))


def compiled(loss, **options):
    model = single(**options)
    model.compile(loss=loss)
    return model


@pytest.mark.parametrize(
    ("make", "task"),
    [
        (lambda: compiled("mse"), "auto"),
        (lambda: compiled("binary_crossentropy"), "binary"),
        (lambda: compiled(keras.losses.BinaryCrossentropy(from_logits=True)), "binary"),
        (lambda: compiled(keras.losses.BinaryFocalCrossentropy()), "binary"),
        (lambda: single(name="binary_output"), "binary"),
        (single, "auto"),
    ],
)
def test_evidence_of_a_binary_classifier_in_memory_and_in_a_file(make, task, tmp_path):
    """The loss, or the name of the output; the file's loss is read, not deserialized."""
    model = make()
    assert load_model(model, preprocess="0..1").task == task
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
        assert load_model(tmp_path / name, preprocess="0..1").task == task


def test_class_1_of_a_value_does_not_exist():
    with pytest.raises(UsageError, match="index from 0 to 0"):
        explain(IMAGE, single(), preprocess="0..1", target_class=1)


@pytest.mark.parametrize("activation", ["relu", "exponential", "softplus"])
def test_outputs_that_are_no_probabilities_are_not_called_so(activation):
    model = single(activation)
    with pytest.raises(ModelError, match="not accessible"):
        explain(IMAGE, model, preprocess="0..1")
    with pytest.raises(ModelError, match="expected probabilities, got outputs"):
        explain(IMAGE, model, preprocess="0..1", score="probability")
    result = explain(IMAGE, model, preprocess="0..1", score="output")
    assert result.prediction.value == pytest.approx(own(model), rel=1e-5)
    assert np.isnan(result.prediction.probability)


def test_output_score_of_a_softmax_is_its_probability():
    keras.utils.set_random_seed(0)
    x = keras.Input((16, 16, 3))
    y = L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(x)))
    model = keras.Model(x, y)
    output, p = (explain(IMAGE, model, preprocess="0..1", score=score) for score in ("output", "probability"))
    assert output.prediction.value == pytest.approx(p.prediction.probability, rel=1e-5)
    np.testing.assert_allclose(output.cam, p.cam, rtol=1e-4, atol=1e-9)


def test_json_line_of_a_regression(cli, tmp_path):
    model = single()
    model.save(tmp_path / "age.keras")
    keras.utils.save_img(tmp_path / "face.png", IMAGE, scale=False)
    done = cli(tmp_path / "face.png", "--model", tmp_path / "age.keras", "--preprocess", "0..1", "--json")
    line = json.loads(done.stdout)
    assert (line["probability"], line["logit"]) == (None, None)
    assert line["value"] == pytest.approx(own(model), rel=1e-5)
    text = cli(tmp_path / "face.png", "--model", tmp_path / "age.keras", "--preprocess", "0..1").stdout
    assert f"({own(model):.4g})" in text


def test_regression_is_not_evaluated_with_probabilities(cli, tmp_path):
    single().save(tmp_path / "age.keras")
    keras.utils.save_img(tmp_path / "face.png", IMAGE, scale=False)
    done = cli("evaluate", tmp_path / "face.png", "--model", tmp_path / "age.keras", "--preprocess", "0..1")
    assert done.status == 3
    assert "not a probability" in done.stderr
