"""Models with several inputs: the map of the image beside fixed further inputs."""

from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L  # noqa: N812
from PIL import Image

from gradcam_cli import explain, load_model
from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.images.load import LoadedImage
from gradcam_cli.pipeline.config import ExplainConfig
from gradcam_cli.pipeline.run import prepare_run
from gradcam_cli.pipeline.stages import explain_images

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)
TABLE = np.float32([0.5, -1.0, 2.0, 0.1])


def two_inputs(gated):
    """An image and a table; the table is added to the logits, or it scales the channels of the features."""
    keras.utils.set_random_seed(0)
    image, table = keras.Input((12, 12, 3), name="image"), keras.Input((4,), name="table")
    A = L.Conv2D(4, 3, activation="relu", name="conv")(image)
    if gated:
        y = L.Dense(3, name="out")(L.Multiply()([L.GlobalAveragePooling2D()(A), table]))
    else:
        y = L.Add()([L.Dense(3, name="out")(L.GlobalAveragePooling2D()(A)), L.Dense(3, name="of_table")(table)])
    return keras.Model([table, image], y)


def saved(tmp_path, table):
    np.savez(tmp_path / "other.npz", table=table)
    return str(tmp_path / "other.npz")


def independent_map(model, table, c):
    """Grad-CAM of the model with both inputs, by a tape over the features."""
    image = PIXELS[None] / np.float32(255)
    A = tf.constant(model.get_layer("conv")(image))
    with tf.GradientTape() as tape:
        tape.watch(A)
        pooled = tf.reduce_mean(A, (1, 2))
        names = [layer.name for layer in model.layers]
        if "of_table" in names:
            y = model.get_layer("out")(pooled) + model.get_layer("of_table")(table[None])
        else:
            y = model.get_layer("out")(pooled * table)
        y_c = y[:, c]
    alpha = tf.reduce_mean(tape.gradient(y_c, A), (1, 2))
    return y_c.numpy()[0], tf.reduce_sum(alpha[:, None, None] * A, -1).numpy()[0]


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("table", [TABLE, TABLE[::-1]], ids=["as is", "permuted"])
def test_map_equals_that_of_an_independent_tape(tmp_path, gated, table):
    model = two_inputs(gated)
    loaded = load_model(model, preprocess="0..1", other_inputs=saved(tmp_path, table))
    result = explain(PIXELS, loaded, "conv", target_class=1)
    logit, expected = independent_map(model, np.ascontiguousarray(table), 1)
    assert result.prediction.logit == pytest.approx(logit, rel=1e-5)
    assert np.linalg.norm(result.cam_pre_relu - expected) < 1e-5 * np.linalg.norm(expected)


@pytest.mark.parametrize("gated", [False, True])
def test_permuted_table_moves_the_map_only_if_it_matters(tmp_path, gated):
    """The logit changes in both models."""
    model, results = two_inputs(gated), []
    for table in (TABLE, TABLE[::-1]):
        loaded = load_model(model, preprocess="0..1", other_inputs=saved(tmp_path, table))
        results.append(explain(PIXELS, loaded, "conv", target_class=1))
    one, other = results
    assert abs(one.prediction.logit - other.prediction.logit) > 1e-3
    assert np.allclose(one.cam_pre_relu, other.cam_pre_relu, rtol=1e-5, atol=1e-7) == (not gated)


def test_command_with_zeros_says_so(cli, photo):
    two_inputs(False).save(cli.here / "two.keras")
    path = photo(size=(12, 12))
    refused = cli(path, "--model", "two.keras")
    assert refused.status == 3
    assert "the model has 2 inputs: table (4,), image (12, 12, 3)" in refused.stderr
    assert "--other-inputs" in refused.stderr
    done = cli(path, "--model", "two.keras", "--other-inputs", "zeros", "--preprocess", "none", "--json")
    assert done.status == 0, done.stderr
    assert "other inputs zeros" in done.announcements[0]
    assert '"--other-inputs", "zeros"' in done.stdout


def test_layers_are_listed(cli):
    two_inputs(False).save(cli.here / "two.keras")
    done = cli("layers", "two.keras", "--other-inputs", "zeros")
    assert done.status == 0, done.stderr
    assert [line.split()[0].rpartition("/")[2] for line in done.lines if "<- auto" in line] == ["conv"]


def siamese():
    keras.utils.set_random_seed(0)
    a, b = keras.Input((12, 12, 3), name="a"), keras.Input((12, 12, 3), name="b")
    conv = L.Conv2D(4, 3, activation="relu", name="conv")
    pooled = [L.GlobalAveragePooling2D()(conv(x)) for x in (a, b)]
    return keras.Model([a, b], L.Dense(2)(L.Concatenate()(pooled)))


@pytest.mark.parametrize("name", ["a", "b"])
def test_each_of_two_images_is_explained_beside_the_other(tmp_path, name):
    """`conv` is the call of the shared layer that received the image."""
    other = np.random.default_rng(1).uniform(0, 1, (1, 12, 12, 3)).astype(np.float32)
    np.savez(tmp_path / "other.npz", **{name: other})
    model = siamese()
    loaded = load_model(model, preprocess="0..1", other_inputs=str(tmp_path / "other.npz"))
    result = explain(PIXELS, loaded, "conv", target_class=1)
    pair = {name: other, "ab".replace(name, ""): PIXELS[None] / np.float32(255)}
    assert result.prediction.logit == pytest.approx(float(model([pair["a"], pair["b"]])[0, 1]), rel=1e-5)
    kernel = model.layers[-1].weights[0].numpy()[:, 1]
    alpha = kernel[4:] if name == "a" else kernel[:4]
    A = model.get_layer("conv")(PIXELS[None] / np.float32(255))[0].numpy()
    np.testing.assert_allclose(result.cam_pre_relu, (A * alpha).sum(-1) / 100, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"table": TABLE[:3]}, r"expected finite numbers of shape \(4,\), got \(3,\)"),
        ({"table": TABLE * np.nan}, "expected finite numbers"),
        ({"other": TABLE}, "the model has no input other"),
        ({"image": PIXELS}, "expected one image among the inputs that are left"),
        ({}, "the file has no array table"),
    ],
    ids=["shape", "nan", "name", "image", "empty"],
)
def test_wrong_arrays_are_refused(tmp_path, arrays, words):
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(UsageError, match=words):
        load_model(two_inputs(False), other_inputs=str(tmp_path / "other.npz"))


def test_models_with_one_input_need_nothing(model_file):
    with pytest.raises(UsageError, match="only one input"):
        load_model(model_file, other_inputs="zeros")
    with pytest.raises(ModelError, match="the model has 2 inputs"):
        load_model(siamese())


def write_rows(path, rows, header="image,a,b,c,d"):
    path.write_text("\n".join([header, *(",".join([name, *map(str, values)]) for name, values in rows.items())]))
    return str(path)


ROWS = {"photos/a.png": TABLE, "photos/b.png": TABLE[::-1], "c.png": 2 * TABLE}


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_each_image_has_its_row(tmp_path, photo, batch_size):
    """In a batch, and in the passes of a perturbation method, each image is explained with its own table."""
    model = two_inputs(True)
    file = write_rows(tmp_path / "rows.csv", ROWS)
    classifier = load_model(model, preprocess="0..1", other_inputs=file)
    config = ExplainConfig(layers=["conv"], classes=[1], methods=["gradcam", "ablationcam"], batch_size=batch_size)
    (tmp_path / "photos").mkdir(exist_ok=True)
    images = [LoadedImage(str(tmp_path / name), PIXELS) for name in ROWS]
    for explanations, table in zip(explain_images(prepare_run(classifier, config), images), ROWS.values(), strict=True):
        logit, expected = independent_map(model, np.ascontiguousarray(table), 1)
        gradcam, ablation = explanations
        assert gradcam.prediction.logit == pytest.approx(logit, rel=1e-4, abs=1e-5)
        np.testing.assert_allclose(gradcam.cam_pre_relu, expected, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(ablation.alpha, independent_ablation(model, table, 1), rtol=1e-3, atol=1e-5)


def independent_ablation(model, table, c):
    """(y_c - y_c without the channel) / y_c, Ablation-CAM's weight of each channel."""
    A = model.get_layer("conv")(PIXELS[None] / np.float32(255)).numpy()

    def y(A):
        return float(model.get_layer("out")(A.mean((1, 2)) * table)[0, c])

    return [(y(A) - y(np.where(np.arange(4) == k, 0, A))) / y(A) for k in range(4)]


def test_threads_do_not_mix_their_rows(tmp_path):
    model = two_inputs(True)
    classifier = load_model(model, preprocess="0..1", other_inputs=write_rows(tmp_path / "rows.csv", ROWS))
    images = {name: tmp_path / name for name in ROWS}
    (tmp_path / "photos").mkdir()
    for path in images.values():
        Image.fromarray(PIXELS).save(path)
    names = list(ROWS) * 4
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda name: explain(images[name], classifier, "conv", target_class=1), names))
    for name, explanation in zip(names, found, strict=True):
        logit, _ = independent_map(model, np.ascontiguousarray(ROWS[name]), 1)
        assert explanation.prediction.logit == pytest.approx(logit, rel=1e-4, abs=1e-5)


def several_inputs():
    keras.utils.set_random_seed(0)
    image, age = keras.Input((12, 12, 3), name="image"), keras.Input((1,), name="age", dtype="int32")
    blood = keras.Input((2,), name="blood")
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="conv")(image))
    y = L.Concatenate()([pooled, L.Rescaling(1.0, dtype="float32")(age), blood])
    return keras.Model([age, image, blood], L.Dense(2, name="out")(y))


def test_columns_have_the_names_of_several_inputs(tmp_path):
    """Their order in the file does not matter; columns without an input are ignored."""
    model = several_inputs()
    header = "blood[1],image,note,age,blood[0]"
    (tmp_path / "rows.csv").write_text(f"\ufeff{header}\n0.5,array,well,7,-2\n")
    loaded = load_model(model, preprocess="0..1", other_inputs=str(tmp_path / "rows.csv"))
    result = explain(PIXELS, loaded, "conv", target_class=1)
    expected = model([np.int32([[7]]), PIXELS[None] / np.float32(255), np.float32([[-2, 0.5]])])[0, 1]
    assert result.prediction.logit == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image,a,b,c\nx.png,1,2,3\n", "has 4 values, the file 3 columns besides image: a, b, c"),
        ("a,b,c,d\n1,2,3,4\n", "expected one column image in the first line, got 0"),
        ("image,a,b,c,d\n", "a row for each image, got none"),
        ("", "has 4 values, the file 0 columns"),
        ("image,a,b,c,d\nx.png,1,2,3\n", "line 2: expected 5 fields, got 4"),
        ("image,a,b,c,d\nx.png,1,2,3,high\n", "line 2: table: expected numbers, got 1, 2, 3, high"),
        ("image,a,b,c,d\nx.png,1,2,3,nan\n", "expected finite numbers of type float32"),
        ("image,a,b,c,d\nx.png,1,2,3,\udce9\n", "CSV file in UTF-8"),
    ],
)
def test_wrong_rows_are_refused(tmp_path, text, words):
    (tmp_path / "rows.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=words):
        load_model(two_inputs(False), other_inputs=str(tmp_path / "rows.csv"))


def test_integers_are_not_rounded(tmp_path):
    (tmp_path / "rows.csv").write_text("image,age,blood[0],blood[1]\nx,7.5,1,2\n")
    with pytest.raises(UsageError, match=r"age: expected finite numbers of type int32, got 7\.5"):
        load_model(several_inputs(), other_inputs=str(tmp_path / "rows.csv"))


def test_an_image_without_a_row_fails_alone(cli, photo):
    two_inputs(False).save(cli.here / "two.keras")
    known, unknown = photo("known.png", size=(12, 12)), photo("unknown.png", size=(12, 12))
    file = write_rows(cli.here / "rows.csv", {"known.png": TABLE})
    done = cli(known, unknown, "--model", "two.keras", "--other-inputs", file, "--preprocess", "none")
    assert done.status == 1
    assert "expected one row for this image, got 0" in done.stderr
    assert [line.partition(":")[0] for line in done.lines] == [str(known)]
    refused = cli("evaluate", known, "--model", "two.keras", "--other-inputs", file)
    assert refused.status == 2
    assert "the same further inputs for all images" in refused.stderr
