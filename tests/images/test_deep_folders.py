"""Folders deeper than Python's recursion limit, on disk and in a store, and keys of S3 with empty parts."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.images.discover import find_sources
from gradcam_cli.storage import remote
from gradcam_cli.storage.files import make_folders, write_output

DEPTH = 1100


@pytest.fixture
def deep(tmp_path, monkeypatch):
    """A folder with an image at the top, one in a folder of DEPTH levels, and folders beyond any path's length."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("deep")
    os.chdir("deep")
    image = Image.new("RGB", (8, 8))
    image.save("top.png")
    names = ["d"] * DEPTH + ["e" * 250] * 12
    for level, name in enumerate(names):
        os.mkdir(name)
        os.chdir(name)
        if level == DEPTH - 1:
            image.save("low.png")
    os.chdir(tmp_path)
    yield
    os.chdir(tmp_path)
    os.chdir("deep")
    for name in names:
        os.chdir(name)
    for name in reversed(names):  # shutil.rmtree exceeds the recursion limit
        if os.path.exists("low.png"):
            os.remove("low.png")
        os.chdir("..")
        os.rmdir(name)
    os.chdir(tmp_path)


def test_deep_folders_are_searched(deep):
    """Two images and one error for the folder whose path is too long, whatever the recursion limit."""
    assert sys.getrecursionlimit() < DEPTH
    top, low, too_long = find_sources(["deep"])
    assert top.name == "deep/top.png"
    assert low.name == "deep/" + "d/" * DEPTH + "low.png"
    assert low.relative_path.name == "low.png"
    assert low.read()
    with pytest.raises(InputError, match="File name too long"):
        too_long.read()


def test_outputs_are_written_into_deep_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = os.path.join(*["d"] * DEPTH, "map.png")
    assert write_output(Path(target), b"map").read_bytes() == b"map"
    with pytest.raises(OutputError, match="File name too long"):
        write_output(Path(os.path.join(*["d"] * 3000, "map.png")), b"map")
    os.remove(target)
    path = os.path.dirname(target)
    while path:
        os.rmdir(path)
        path = os.path.dirname(path)


def test_folders_are_created_once(tmp_path):
    make_folders(tmp_path / "a/b")
    make_folders(tmp_path / "a/b")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        make_folders(tmp_path / "file/below")


class Store:
    """A store of folders within folders, each with one image; the methods are those of fsspec that are used."""

    protocol = "deep"

    def _strip_protocol(self, url):
        return url.partition("://")[2]

    def ls(self, path, detail):
        entries = [{"name": f"{path}/x.png", "type": "file"}]
        return entries + [{"name": f"{path}/d", "type": "directory"}] * (path.count("/") < DEPTH)


def test_deep_store_is_searched(monkeypatch):
    monkeypatch.setattr(remote, "_file_system", lambda root, process: Store())
    assert len(list(remote.walk("deep://bucket"))) == DEPTH + 1


class S3Store(Store):
    """Keys with empty parts, listed as s3fs lists them: `a//b.jpg` as a folder named `a/` in `a`."""

    protocol = ("s3", "s3a")
    keys = ("bucket/a//b.jpg", "bucket/a//c//d.jpg", "bucket/a//.hidden/e.jpg", "bucket/a//../up.jpg", "bucket/a//f/")

    def ls(self, path, detail):
        listed = {
            "bucket": [("bucket/a", "directory")],
            "bucket/a": [("bucket/a/", "directory"), ("bucket/a/x.jpg", "file")],
        }
        return [{"name": name, "type": kind} for name, kind in listed[path]]

    def find(self, path, prefix):
        return [key for key in self.keys if key.startswith(f"{path}/{prefix}")]


def test_keys_with_empty_parts_are_explained(monkeypatch):
    """Their outputs are below the output directory; hidden folders are skipped, `..` among them."""
    monkeypatch.setattr(remote, "_file_system", lambda root, process: S3Store())
    monkeypatch.setattr("gradcam_cli.images.discover.require_protocol", lambda protocol: None)
    found = [(source.name, str(source.relative_path)) for source in find_sources(["s3://bucket"])]
    assert found == [
        ("s3://bucket/a//b.jpg", "a/b.jpg"),
        ("s3://bucket/a//c//d.jpg", "a/c/d.jpg"),
        ("s3://bucket/a/x.jpg", "a/x.jpg"),
    ]
