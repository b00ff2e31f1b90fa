"""Data sets: loading, validation, batches and augmentation."""

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import GradcamError, UsageError
from gradcam_cli.neuralode.training.batches import augment, iter_batches, train_validation_split
from gradcam_cli.neuralode.training.config import DATASET_NAMES
from gradcam_cli.neuralode.training.datasets import DATASETS, Dataset, load_data, place_on_canvas


def numbered(n=10, side=4):
    """Images whose pixels all equal the number of the image."""
    x = np.zeros((n, side, side, 1), np.uint8) + np.arange(n, dtype=np.uint8)[:, None, None, None]
    return x, np.arange(n) % 2


def test_names_are_those_of_the_data_sets():
    assert tuple(DATASETS) == DATASET_NAMES


def test_digits_are_built_in():
    """1,438 training and 359 test images of ten classes, white on black."""
    data = load_data("digits")
    assert (data.x_train.shape, data.x_test.shape) == ((1438, 8, 8, 1), (359, 8, 8, 1))
    assert (data.x_train.max(), data.x_train[:, 0, 0].mean() < 5) == (255, True)
    assert data.labels == tuple("0123456789")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"x_test": None}, "x_test not found"),
        ({"y_train": np.zeros(5, int)}, "an integer class for each image"),
        ({"y_train": np.zeros(6)}, "an integer class for each image"),
        ({"x_train": np.zeros((6, 4, 4, 2), np.uint8)}, "1 or 3"),
        ({"x_train": np.zeros((6, 3, 4, 1), np.uint8)}, "images of one shape"),
        ({"x_train": np.full((6, 4, 4), -1.0)}, "from 0 to 255"),
        ({"x_train": np.full((6, 4, 4), np.nan)}, "from 0 to 255"),
        ({"y_train": np.array([-1, 0, 1, 0, 1, 0])}, "classes from 0"),
        ({"labels": np.array(["one"])}, "classes from 0 to 0, at least two"),
        ({"x_train": np.zeros((0, 4, 4), np.uint8), "y_train": np.zeros(0, int)}, "an integer class"),
    ],
)
def test_invalid_npz_is_refused(tmp_path, changed, message):
    arrays = {
        "x_train": np.zeros((6, 4, 4), np.uint8),
        "y_train": np.array([0, 1] * 3),
        "x_test": np.zeros((2, 4, 4), np.uint8),
        "y_test": np.array([0, 1]),
        **changed,
    }
    np.savez(tmp_path / "d.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(UsageError, match=message):
        load_data(str(tmp_path / "d.npz"))


def test_npz_with_float_pixels(tmp_path):
    """Pixels from 0 to 1 become 0 to 255; a channel axis and class names are added."""
    x, y = np.array([0, 0.5, 1] * 4).reshape(3, 2, 2), np.array([[0], [2], [1]])
    np.savez(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    data = load_data(str(tmp_path / "d.npz"))
    assert data.x_train.dtype == np.uint8
    assert data.x_train.shape == (3, 2, 2, 1)
    assert sorted(set(data.x_train.ravel())) == [0, 128, 255]
    assert data.y_train.tolist() == [0, 2, 1]
    assert data.labels == ("0", "1", "2")


def test_damaged_or_unknown_data_is_refused(tmp_path):
    (tmp_path / "d.npz").write_bytes(b"PK no archive")
    with pytest.raises(UsageError, match="cannot read"):
        load_data(str(tmp_path / "d.npz"))
    with pytest.raises(UsageError, match=r"digits, mnist, fashion_mnist, cifar10, an .npz file or a directory"):
        load_data("letters")


def test_failed_download_has_a_hint(monkeypatch):
    """An exception of Keras becomes an error with a hint."""
    import keras

    def fail():
        raise OSError("no route")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    with pytest.raises(GradcamError, match="cannot load mnist: no route") as caught:
        load_data("mnist")
    assert "--data FILE.npz" in caught.value.hint


def write_image(path, value, size=(6, 4)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def test_directory_with_one_folder_per_class(tmp_path, caplog):
    """Every fifth image of a class is a test image, gray images have one channel, damaged images are left out."""
    for i in range(10):
        write_image(tmp_path / f"dark/{i}.png", i)
        write_image(tmp_path / f"light/{i}.png", 200 + i)
    (tmp_path / "light/99.png").write_bytes(b"no image")
    data = load_data(str(tmp_path))
    assert data.labels == ("dark", "light")
    assert data.x_test[:, 0, 0, 0].tolist() == [4, 9, 204, 209]
    assert data.y_test.tolist() == [0, 0, 1, 1]
    assert data.x_train.shape == (16, 4, 6, 1)
    assert "99.png is left out" in caplog.text


def test_train_and_test_folders_need_equal_sizes_and_classes(tmp_path):
    for part in ("train", "test"):
        for label in ("a", "b"):
            write_image(tmp_path / part / label / "0.png", 10, size=(9, 9) if label == "a" else (5, 7))
    with pytest.raises(UsageError, match="got images of several sizes") as caught:
        load_data(str(tmp_path))
    assert "--input-size" in caught.value.hint
    data = load_data(str(tmp_path), (3, 4))
    assert data.x_train.shape == data.x_test.shape == (2, 3, 4, 1)
    (tmp_path / "test/c").mkdir()
    with pytest.raises(UsageError, match="same directories"):
        load_data(str(tmp_path))


def test_directory_requires_two_classes(tmp_path):
    write_image(tmp_path / "only/0.png", 1)
    with pytest.raises(UsageError, match="at least two, got 1"):
        load_data(str(tmp_path))


def test_batches_depend_on_seed_and_epoch():
    """An epoch has full batches only, and no image twice."""
    x, y = numbered()

    def batches(seed, epoch):
        return [batch[:, 0, 0, 0].tolist() for batch, _ in iter_batches(x, y, 3, seed, epoch)]

    assert batches(1, 2) == batches(1, 2)
    assert batches(1, 2) != batches(1, 3)
    assert batches(1, 2) != batches(2, 2)
    assert [len(batch) for batch in batches(1, 2)] == [3, 3, 3]
    assert len({number for batch in batches(1, 2) for number in batch}) == 9
    for batch, classes in iter_batches(x, y, 3, 0, 0):
        assert (batch[:, 0, 0, 0] % 2 == classes).all()


def test_random_shift_reaches_all_neighbors():
    """A white pixel in the center is moved by at most one pixel, to all nine positions; the border is black."""
    x = np.zeros((400, 7, 7, 1), np.uint8)
    x[:, 3, 3] = 9
    shifted = augment(x, np.random.default_rng(0), 1, False)
    assert shifted.shape == x.shape
    assert shifted.sum(axis=(1, 2, 3)).tolist() == [9] * 400
    positions = {tuple(int(i) for i in np.argwhere(image)[0][:2]) for image in shifted}
    assert positions == {(row, column) for row in (2, 3, 4) for column in (2, 3, 4)}


def test_random_flip_mirrors_about_half_of_the_images():
    x = np.zeros((200, 3, 4, 2), np.uint8)
    x[:, 1, 0, 1] = 5
    flipped = augment(x, np.random.default_rng(0), 0, True)
    assert flipped.shape == x.shape
    left, right = (flipped[:, 1, 0, 1] == 5).sum(), (flipped[:, 1, 3, 1] == 5).sum()
    assert left + right == 200
    assert 70 < left < 130


def test_validation_split_divides_the_training_images():
    """Each training image is in exactly one part, test images are in none."""
    x, y = numbered()
    (training, _), (validation, classes) = train_validation_split(Dataset(x, y, x + 100, y, ("0", "1")), 0.3, seed=1)
    assert len(validation) == 3
    assert sorted([*training[:, 0, 0, 0], *validation[:, 0, 0, 0]]) == list(range(10))
    assert (validation[:, 0, 0, 0] % 2 == classes).all()


def test_canvas_contains_each_image_in_its_box():
    x, y = numbered()
    data, boxes = place_on_canvas(Dataset(x + 1, y, x + 1, y, ("0", "1")), 2, seed=0)
    assert data.x_test.shape == (10, 8, 8, 1)
    for image, original, (x0, y0, x1, y1) in zip(data.x_test, x + 1, boxes, strict=True):
        np.testing.assert_array_equal(image[y0:y1, x0:x1], original)
        assert image.sum() == original.sum()
    assert len({tuple(box) for box in boxes.tolist()}) > 5
