"""Targets from the command line to the files: what is explained, and where the map lies."""

import json

import keras
import numpy as np
import pytest
from keras import layers as L  # noqa: N812
from PIL import Image
from scipy.ndimage import binary_dilation

from gradcam_cli import explain, load_model
from gradcam_cli.errors import ModelError, UsageError

SIZE = 32
BACKGROUND, SQUARE, DISK = range(3)


def shapes(count, seed):
    """Images with a square and a disk of any colors, and the class of each pixel."""
    rng = np.random.default_rng(seed)
    images = rng.integers(40, 80, (count, SIZE, SIZE, 3), dtype=np.uint8)
    classes = np.zeros((count, SIZE, SIZE), np.int32)
    i, j = np.mgrid[:SIZE, :SIZE]
    for image, of_pixel in zip(images, classes, strict=True):
        a, b, c, d = rng.integers(6, SIZE - 6, 4)
        for kind, mask in ((SQUARE, (abs(i - a) <= 4) & (abs(j - b) <= 4)), (DISK, (i - c) ** 2 + (j - d) ** 2 <= 20)):
            image[mask], of_pixel[mask] = rng.integers(120, 256, 3), kind
    return images, classes


@pytest.fixture(scope="module")
def segmentation(tmp_path_factory):
    """The file of a fully convolutional network that tells squares from disks; ten seconds of training."""
    keras.utils.set_random_seed(0)

    def conv(channels, name):
        return L.Conv2D(channels, 3, padding="same", activation="relu", name=name)

    x = keras.Input((SIZE, SIZE, 3))
    y = conv(24, "first")(L.Rescaling(1 / 255)(x))
    y = conv(32, "last")(conv(32, "third")(conv(32, "second")(L.MaxPooling2D()(y))))
    y = L.UpSampling2D(2, interpolation="bilinear")(L.Conv2D(3, 1, name="scores")(y))
    model = keras.Model(x, L.Softmax()(y))
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(*shapes(1500, 0), epochs=15, batch_size=50, verbose=0)
    file = tmp_path_factory.mktemp("segmentation") / "shapes.keras"
    model.save(file)
    return file


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gradcam", "segeigencam"])
def test_map_of_a_segment_lies_on_its_shape(segmentation, method):
    """Most peaks lie on the requested shape or next to it, although the other shape is as bright."""
    classifier = load_model(segmentation)
    hits = []
    for image, of_pixel in zip(*shapes(30, 77), strict=True):
        for kind in (SQUARE, DISK):
            if (of_pixel == kind).sum() > 40:
                result = explain(image, classifier, target="segment", target_class=kind, method=method)
                assert result.prediction.index == kind
                peak = np.unravel_index(result.heatmap.argmax(), result.heatmap.shape)
                hits.append(binary_dilation(of_pixel == kind)[peak])
    assert len(hits) > 50
    assert np.mean(hits) > 0.9


@pytest.mark.slow
def test_segment_in_names_records_and_layers(cli, segmentation):
    """`auto` is the last layer before the scores; the target is in the file name, the JSON line and the metadata."""
    Image.fromarray(shapes(1, 3)[0][0]).save(cli.here / "photo.png")
    args = ["photo.png", "--model", segmentation, "--target", "segment", "--class", "top3", "--json", "--save", "npz"]
    done = cli(*args)
    entries = [json.loads(line) for line in done.lines]
    assert [entry["layer"] for entry in entries] == ["last"] * 3
    assert {entry["target"] for entry in entries} == {"segment"}
    assert entries[0]["class_index"] == BACKGROUND  # the largest area
    assert entries[1]["outputs"]["npz"] == "photo_gradcam_segment_top2.npz"
    with np.load(cli.here / entries[1]["outputs"]["npz"]) as arrays:
        assert json.loads(str(arrays["metadata"]))["target"] == "segment"
    again = cli("photo.png", *entries[1]["rerun_args"], "--class", str(entries[1]["class_index"]), "--json")
    assert again.lines, again.stderr
    assert json.loads(again.lines[0])["map"] == entries[1]["map"]
    plain = cli("photo.png", "--model", segmentation)
    assert plain.status == 3
    assert "--target segment" in plain.stderr


@pytest.mark.slow
def test_layers_of_a_segmentation_are_listed(cli, segmentation):
    rows = [json.loads(line) for line in cli("layers", segmentation, "--target", "segment", "--json").lines]
    assert [row["path"] for row in rows if row["default"]] == ["last"]


@pytest.fixture(scope="module")
def several():
    """A model with three outputs: two classifiers, and the class scores of anchors."""
    keras.utils.set_random_seed(1)
    x = keras.Input((12, 12, 3))
    A = L.Conv2D(6, 3, activation="relu", name="conv")(x)
    pooled = L.GlobalAveragePooling2D()(A)
    outputs = {
        "species": L.Dense(3, activation="softmax", name="species")(pooled),
        "age": L.Dense(1, name="age")(pooled),
        "anchors": L.Reshape((100, 2), name="anchors")(L.Conv2D(2, 1, activation="sigmoid", name="anchor")(A)),
    }
    model = keras.Model(x, outputs)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    return model


PIXELS = np.random.default_rng(0).integers(0, 256, (12, 12, 3), np.uint8)


@pytest.mark.parametrize(("target", "output", "c"), [("class@species", "species", 2), ("class@age", "age", 0)])
def test_one_of_several_outputs_equals_the_model_of_this_output(several, target, output, c):
    alone = explain(PIXELS, keras.Model(several.input, several.output[output]), "conv", target_class=c)
    result = explain(PIXELS, several, "conv", target_class=c, target=target)
    np.testing.assert_allclose(result.cam, alone.cam, rtol=1e-5, atol=1e-7)
    assert result.prediction.value == alone.prediction.value
    assert result.settings.target == target
    assert f" · {target} · gradcam · conv 10x10" in result.title


@pytest.mark.parametrize("target", ["class@out", "class@0"])
def test_the_only_output_has_a_name_too(target):
    x = keras.Input((12, 12, 3))
    pooled = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, name="conv")(x))
    model = keras.Model(x, L.Dense(3, name="out")(pooled))
    plain, named = (explain(PIXELS, model, "conv", target_class=1, target=text) for text in ("class", target))
    np.testing.assert_array_equal(named.cam, plain.cam)


def test_detection_explains_the_best_anchor(several):
    """With one weight for each channel, the gradient lies in the cell of the anchor alone."""
    result = explain(PIXELS, several, "conv", target_class=1, target="detection@anchors", method="hirescam")
    scores = several(PIXELS[None] / np.float32(255))["anchors"][0, :, 1].numpy()
    cells = np.flatnonzero(result.cam_pre_relu)
    assert cells.tolist() == [scores.argmax()]
    assert result.prediction.probability == pytest.approx(scores.max(), rel=1e-5)


def test_outputs_that_do_not_fit_are_refused_with_the_way_out(several):
    with pytest.raises(ModelError, match="expected a classifier") as caught:
        explain(PIXELS, several)
    assert "@NAME" in caught.value.hint
    with pytest.raises(UsageError, match="output 'name' not found") as missing:
        explain(PIXELS, several, target="class@name")
    assert "species, age, anchors" in missing.value.hint
    with pytest.raises(ModelError, match="class scores of each pixel"):
        explain(PIXELS, several, target="segment@species")


def colors():
    """A network whose embedding is the mean of its red, green and blue pixels."""
    x = keras.Input((16, 16, 3))
    y = L.Conv2D(3, 1, activation="relu", use_bias=False, name="colors")(x)
    model = keras.Model(x, L.GlobalAveragePooling2D()(y))
    kernel = 2 * np.eye(3) - 1  # red is r - g - b
    model.set_weights([kernel[None, None].astype(np.float32)])
    return load_model(model, preprocess="0..1")


def patches(**places):
    """A black image with squares of colors at places (row, column)."""
    image = np.zeros((16, 16, 3), np.uint8)
    for color, (i, j) in places.items():
        image[i : i + 4, j : j + 4, ("red", "green", "blue").index(color)] = 255
    return image


@pytest.mark.parametrize(("files", "place"), [("red.png", (2, 2)), ("green.png,red.png", (9, 9)), ("blue.png", (2, 9))])
def test_similarity_map_finds_the_common_object(tmp_path, monkeypatch, files, place):
    monkeypatch.chdir(tmp_path)
    for color in ("red", "green", "blue"):
        Image.fromarray(patches(**{color: (5, 5)})).save(f"{color}.png")
    image = patches(red=(2, 2), green=(9, 9), blue=(2, 9))
    result = explain(image, colors(), "colors", target=f"similarity:{files}")
    on_object = np.zeros((16, 16), bool)
    on_object[place[0] : place[0] + 4, place[1] : place[1] + 4] = True
    assert result.cam.any()
    assert (result.cam[~on_object] == 0).all()
    cosine = 1 / np.sqrt(3)
    assert result.prediction.value == pytest.approx(0 if "," in files else cosine, abs=1e-6)


def test_missing_reference_image_is_named(cli, photo, model_file):
    done = cli(photo(), "--model", model_file, "--target", "similarity:none.png")
    assert done.status == 3
    assert "none.png" in done.stderr


def test_changed_reference_or_architecture_is_noticed(cli, photo, model_file):
    """`--skip-existing` keeps no file of another reference image."""
    path = photo()
    Image.fromarray(PIXELS).save(cli.here / "reference.png")
    args = [path, "--model", model_file, "--target", "similarity:reference.png", "--preprocess", "none", "-o", "maps"]
    assert cli(*args, "--skip-existing").status == 0
    assert "skipped" in cli(*args, "--skip-existing", "--json").stdout
    Image.fromarray(255 - PIXELS).save(cli.here / "reference.png")
    assert "skipped" not in cli(*args, "--skip-existing", "--json").stdout


@pytest.fixture(scope="module")
def detector():
    """Class scores and boxes of 100 anchors; a box is 4 x 4 pixels around its cell."""
    keras.utils.set_random_seed(3)
    x = keras.Input((12, 12, 3))
    A = L.Conv2D(6, 3, activation="relu", name="conv")(x)
    scores = L.Reshape((100, 2), name="scores")(L.Conv2D(2, 1, activation="sigmoid")(A))
    rows, columns = np.divmod(np.arange(100), 10)
    centers = np.stack([columns + 1.5, rows + 1.5, np.full(100, 4), np.full(100, 4)], axis=1).astype(np.float32)
    boxes = L.Lambda(lambda A: keras.ops.zeros_like(A[:, :1, 0, :4]) + centers, output_shape=(100, 4), name="boxes")(A)
    return keras.Model(x, {"scores": scores, "boxes": boxes})


def test_the_box_of_the_best_anchor_is_drawn(detector):
    """It lies around the cell of the map's only gradient; the picture changes at its outline."""
    image = np.repeat(np.repeat(PIXELS, 10, 0), 20, 1)  # 120 x 240
    plain, boxed = (
        explain(image, detector, "conv", target_class=1, target=target, method="hirescam")
        for target in ("detection@scores", "detection@scores:center_xywh")
    )
    np.testing.assert_array_equal(boxed.heatmap, plain.heatmap)
    row, column = np.argwhere(boxed.cam_pre_relu)[0]
    assert plain.detection_box is None
    assert boxed.detection_box == (20 * (column - 0.5), 10 * (row - 0.5), 20 * (column + 3.5), 10 * (row + 3.5))
    changed = np.argwhere((boxed.overlay() != plain.overlay()).any(-1))
    x0, y0, x1, y1 = boxed.detection_box
    i, j = changed.T
    assert len(changed)
    assert ((abs(i - y0) < 3) | (abs(i - y1) < 3) | (abs(j - x0) < 3) | (abs(j - x1) < 3)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda outputs: {"scores": outputs["scores"]}, r"a box for each anchor, \(n, 100, 4\), got none"),
        (lambda outputs: {**outputs, "more": outputs["boxes"]}, r"got \(1, 100, 4\), \(1, 100, 4\)"),
    ],
)
def test_detectors_without_one_box_an_anchor_are_refused(detector, make, words):
    model = keras.Model(detector.input, make(detector.output))
    with pytest.raises(ModelError, match=words):
        explain(PIXELS, model, "conv", target="detection@scores:xyxy")
