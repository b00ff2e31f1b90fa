"""Files in a directory that are not explained are counted in one line; every format that can be read is found."""

import logging

import numpy as np
import pytest
from PIL import Image

from gradcam_cli.images import heif
from gradcam_cli.images.decode import decode
from gradcam_cli.images.discover import find_sources

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("suffix", "image_format"),
    [(".jfif", "JPEG"), (".jpe", "JPEG"), (".jp2", "JPEG2000"), (".tga", "TGA"), (".mpo", "MPO")],
)
def test_unusual_suffixes_are_found_and_read(tmp_path, suffix, image_format):
    path = tmp_path / f"photo{suffix.upper()}"
    Image.fromarray(PIXELS).save(path, format=image_format)
    (source,) = find_sources([str(tmp_path)])
    assert decode(source.read()).shape == PIXELS.shape


def test_images_of_unsupported_formats_are_counted_in_one_warning(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(heif, "is_installed", lambda: False)
    for name in ("a.png", "b.heic", "c.HEIC", "d.nef", "notes.txt", ".hidden.heic", "a_gradcam.heic"):
        (tmp_path / name).touch()
    assert len(list(find_sources([str(tmp_path)]))) == 1
    (record,) = caplog.records
    how = "HEIC photos require pip install 'gradcam-cli[heif]'"
    assert record.getMessage() == f"{tmp_path}: files left out: .heic (2), .nef (1), .txt (1); {how}"
    assert record.levelno == logging.WARNING


def test_other_files_are_counted_without_a_warning(tmp_path, caplog):
    """A directory of images often holds labels and annotations."""
    caplog.set_level(logging.INFO, "gradcam_cli")
    for name in ("a.png", "labels.txt", "README"):
        (tmp_path / name).touch()
    assert len(list(find_sources([str(tmp_path)]))) == 1
    (record,) = caplog.records
    assert (record.levelno, "no suffix (1)" in record.getMessage()) == (logging.INFO, True)
