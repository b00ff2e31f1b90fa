"""Each run prints one line on stderr: what was chosen for the model, and why."""

import json

import keras
import pytest
from keras import layers as L  # noqa: N812
from small_models import small_network

SMALL = (
    "small: input 12x12 RGB, preprocessing -1..1 (as requested), 3 classes without names, layer conv2 10x10x5 (auto)"
)


def test_line_names_input_preprocessing_classes_and_layer(small, photo):
    done = small(photo())
    assert done.announcements == [SMALL]
    assert done.stderr == ""


def test_quiet_silences_the_line(small, photo):
    assert small(photo(), "--quiet").announcements == []


def test_line_is_on_stderr_beside_json(small, photo):
    done = small(photo(), "--json")
    assert done.announcements == [SMALL]
    record = json.loads(done.stdout)
    assert (record["preprocess"], record["preprocess_reason"]) == ("-1..1", "as requested")


def test_line_is_printed_once_for_many_images(small, photo):
    paths = [photo(f"{number}.png", seed=number) for number in range(3)]
    assert small(*paths, "--batch-size", "1").announcements == [SMALL]


def test_several_layers_and_a_label_file_are_listed(small, photo, tmp_path):
    (tmp_path / "names.txt").write_text("one\ntwo\nthree\n")
    (line,) = small(photo(), "--layer", "conv1", "--layer", "conv2", "--labels", tmp_path / "names.txt").announcements
    assert line.endswith("3 classes with names from names.txt, layers conv1 10x10x4, conv2 10x10x5")


def test_built_in_model_has_its_own_reasons(cli, photo):
    (line,) = cli(photo(), "--model", "mini").announcements
    assert line == (
        "mini: input 32x32 RGB, preprocessing -1..1 (as in the training of mini), "
        "10 classes with names from CIFAR-10, layer block5_conv4 8x8x160 (auto)"
    )


def test_guess_is_a_note_that_names_the_option(cli, photo, model_file):
    (line,) = [line for line in cli(photo(), "--model", model_file).stderr.splitlines() if "input 12x12" in line]
    assert line.startswith("note: small: input 12x12 RGB, preprocessing 0..1 (a guess, ")
    assert "set it with --preprocess" in line


@pytest.mark.parametrize(
    ("text", "channels"), [("bgr,mean=103.939,116.779,123.68", "BGR"), ("caffe", "BGR"), ("torch", "RGB")]
)
def test_own_preprocessing_is_named(cli, photo, model_file, text, channels):
    done = cli(photo(), "--model", model_file, "--preprocess", text, "--json")
    recorded = json.loads(done.stdout)["preprocess"]
    assert f"input 12x12 {channels}, preprocessing {recorded} (as requested)" in done.announcements[0]
    assert cli(photo(), "--model", model_file, "--preprocess", recorded, "--json").status == 0


def test_grayscale_model_of_variable_size_with_one_value(cli, photo):
    inputs = keras.Input((None, None, 1))
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="conv", activation="relu")(L.Rescaling(1 / 255)(inputs)))
    keras.Model(inputs, L.Dense(1)(y)).save(cli.here / "size.keras")
    (line,) = cli(photo(), "--model", "size.keras", "--input-size", "20").announcements
    assert line == (
        "size: input 20x20 grayscale (the model accepts other sizes: --input-size), preprocessing none "
        "(the model itself converts 0..255 to 0..1), a single value without classes, layer conv 18x18x4 (auto)"
    )


def test_layers_compare_and_evaluate_print_the_line(small, cli, photo, model_file):
    path = photo()
    (line,) = cli("layers", model_file).announcements
    assert line.endswith("3 classes without names, layer conv2 10x10x5 (auto)")
    small(path, "--save", "npz", "-o", "before")
    new = cli("compare", "before", model_file, "--preprocess", "-1..1")
    assert new.announcements == [SMALL.replace(" (auto)", "")]
    evaluated = small("evaluate", path, "--steps", "2", "--sanity-check")
    assert evaluated.announcements == [SMALL]


def test_python_api_logs_the_line_once(photo, caplog):
    """A classifier that explains many images announces itself once."""
    import logging

    from gradcam_cli import explain, load_model

    classifier = load_model(small_network(), preprocess="-1..1")
    with caplog.at_level(logging.INFO, "gradcam_cli"):
        explain(photo(), classifier)
        explain(photo(), classifier)
    assert [record.getMessage() for record in caplog.records].count(SMALL) == 1


def test_several_linear_outputs_are_classes(cli, photo):
    inputs = keras.Input((12, 12, 3))
    y = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="conv")(inputs))
    keras.Model(inputs, L.Dense(3)(y)).save(cli.here / "logits.keras")
    (line,) = cli(photo(), "--model", "logits.keras", "--preprocess", "none").announcements
    assert "3 classes without names" in line
