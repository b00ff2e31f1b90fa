"""Damaged, malicious or mistaken training data: one clear error, without reading more than the limits allow."""

import io
import os
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.errors import UsageError
from gradcam_cli.neuralode.training import dataset_checks
from gradcam_cli.neuralode.training.datasets import load_data, place_on_canvas

GOOD = {
    "x_train": np.zeros((6, 4, 4), np.uint8),
    "y_train": np.array([0, 1] * 3),
    "x_test": np.zeros((2, 4, 4), np.uint8),
    "y_test": np.array([0, 1]),
}


def load(path, **changed):
    np.savez_compressed(path / "d.npz", **{**GOOD, **changed})
    return load_data(str(path / "d.npz"))


def declared_npy(shape):
    header = repr({"descr": "|u1", "fortran_order": False, "shape": shape}).encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def saved_npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y_train": np.array([0, 10**12] * 3)}, "classes from 0 to 99999"),
        ({"y_train": np.full(6, 2**63, np.uint64)}, "got 0 to 9223372036854775808"),
        ({"y_train": np.array([{}] * 6)}, "got type object"),
        ({"x_train": np.array([{}] * 6)}, "got type object"),
        ({"x_train": np.full((6, 4, 4), np.inf)}, "got inf to inf"),
        ({"x_train": np.full((6, 4, 4), -np.inf)}, "got -inf to -inf"),
        ({"x_test": np.full((2, 4, 4), np.nan)}, "x_test: expected pixels from 0 to 255"),
        ({"x_train": np.zeros((6, 4, 4), bool)}, "an integer or float type, got bool"),
        ({"x_train": np.full((6, 4, 4), "a")}, "an integer or float type, got <U1"),
        ({"x_train": np.zeros((6, 4, 4), complex)}, "got type complex128"),
        ({"x_train": np.array(3)}, r"got \(\)"),
        ({"x_train": np.zeros((6, 0, 4))}, r"got \(6, 0, 4, 1\)"),
        ({"x_train": np.zeros((0, 4, 4)), "y_train": np.zeros(0, int)}, "at least one image"),
        ({"x_test": np.zeros((0, 4, 4)), "y_test": np.zeros(0, int)}, "y_test: .*at least one image"),
        ({"labels": np.array("ab")}, r"labels \(n,\) of strings"),
        ({"labels": np.array([["a", "b"]])}, r"labels \(n,\) of strings"),
        ({"labels": np.array([0.5, 1])}, r"labels \(n,\) of strings"),
        ({"labels": np.array(["a" * 1_001, "b"])}, "at most 1,000 Unicode characters"),
        ({"labels": np.array(["\ud800", "b"])}, "Unicode"),
        ({"labels": np.array([b"\xff", b"b"])}, "Unicode"),
        ({"labels": np.array([0xFFFFFFFF, 0], np.uint32).view("U1")}, "Unicode"),
    ],
)
def test_mistaken_arrays_are_refused(tmp_path, changed, message):
    with pytest.raises(UsageError, match=message):
        load(tmp_path, **changed)


def test_empty_and_truncated_files_are_refused(tmp_path):
    """No length of a truncated file is read, and none raises another exception."""
    load(tmp_path)
    content = (tmp_path / "d.npz").read_bytes()
    for length in range(0, len(content), 7):
        (tmp_path / "d.npz").write_bytes(content[:length])
        with pytest.raises(UsageError, match="cannot read"):
            load_data(str(tmp_path / "d.npz"))


def test_changed_bytes_are_refused_or_harmless(tmp_path):
    """One changed byte anywhere in the file: an error, or unchanged images and classes, but never other data."""
    images = np.random.default_rng(0).integers(0, 256, (6, 4, 4), dtype=np.uint8)
    expected = load(tmp_path, x_train=images)
    content, refused = (tmp_path / "d.npz").read_bytes(), 0
    for position in range(0, len(content), 5):
        changed = bytearray(content)
        changed[position] ^= 0x55
        (tmp_path / "d.npz").write_bytes(changed)
        try:
            data = load_data(str(tmp_path / "d.npz"))
        except UsageError:
            refused += 1
            continue
        for actual, array in zip(data[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(actual, array)
    assert refused > len(content) // 10


def test_files_of_another_kind_are_refused(tmp_path):
    """A pickle, an array without archive and a FIFO named .npz."""
    for content in (b"\x80\x04N.", saved_npy(np.zeros(3))):
        (tmp_path / "d.npz").write_bytes(content)
        with pytest.raises(UsageError, match="cannot read"):
            load_data(str(tmp_path / "d.npz"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "f.npz")
        with pytest.raises(UsageError, match=r"expected .* an .npz file"):
            load_data(str(tmp_path / "f.npz"))


def test_sizes_are_checked_before_reading(tmp_path):
    """An array of 10^11 declared bytes, and 300 MB of zeros in a file of 300 kB."""
    for content, message in (
        (declared_npy((10**7, 100, 100)), "x_train: expected at most 268,435,456 bytes"),
        (declared_npy((3 * 10**8,)) + bytes(3 * 10**8), "expected at most 268,435,456 decompressed bytes"),
    ):
        with zipfile.ZipFile(tmp_path / "d.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("x_train.npy", content)
            for name in ("y_train", "x_test", "y_test"):
                archive.writestr(f"{name}.npy", saved_npy(GOOD[name]))
        with pytest.raises(UsageError, match=message):
            load_data(str(tmp_path / "d.npz"))


def test_float_pixels_of_both_splits_have_one_scale(tmp_path):
    """Dark test images of a data set with pixels up to 255 are not scaled by 255."""
    data = load(tmp_path, x_train=np.full((6, 4, 4), 200.0), x_test=np.full((2, 4, 4), 1.0))
    assert (data.x_train.max(), data.x_test.max()) == (200, 1)


def test_class_names_in_bytes(tmp_path):
    assert load(tmp_path, labels=np.array([b"left", b"right"])).labels == ("left", "right")


def test_data_above_the_memory_are_refused(tmp_path, monkeypatch):
    """The limit holds for images in folders and for canvases."""
    data = load(tmp_path)
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(5):
            Image.new("RGB", (8, 8)).save(tmp_path / "images" / label / f"{number}.png")
    monkeypatch.setattr(dataset_checks, "_memory_bytes", lambda: 3_000)
    with pytest.raises(UsageError, match="expected at most 1,000 bytes of pixels, got 1,152"):
        load_data(str(tmp_path / "images"))
    with pytest.raises(UsageError, match=r"--canvas-scale 4: expected at most 1,000 bytes of pixels, got 2,048"):
        place_on_canvas(data, 4, 0)


def test_folders_without_test_images_or_access(tmp_path, monkeypatch):
    """A class with fewer than five images, or an empty directory, would have no test image."""
    for label in ("a", "b", "c"):
        (tmp_path / label).mkdir()
        for number in range(4 if label == "b" else 5):
            Image.new("RGB", (8, 8)).save(tmp_path / label / f"{number}.png")
    with pytest.raises(UsageError, match="at least 5 images of each class, got 4 in the directory b"):
        load_data(str(tmp_path))
    Image.new("RGB", (8, 8)).save(tmp_path / "b/4.png")
    assert load_data(str(tmp_path)).y_test.tolist() == [0, 1, 2]
    (tmp_path / "d").mkdir()
    with pytest.raises(UsageError, match="at least 5 images of each class, got 0 in the directory d"):
        load_data(str(tmp_path))

    def iterdir(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(type(tmp_path), "iterdir", iterdir)
    with pytest.raises(UsageError, match="cannot read the directory: Permission denied"):
        load_data(str(tmp_path))
