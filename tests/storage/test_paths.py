"""URLs: recognition, names, and protocols that are missing or not supported."""

from pathlib import Path

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.images.discover import find_sources
from gradcam_cli.storage import paths
from gradcam_cli.storage.paths import as_path, basename, is_url, relative_to

fsspec = pytest.importorskip("fsspec", reason="URLs need fsspec")
pytest.importorskip("upath", reason="URLs need universal-pathlib")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("s3://b/x", True), ("https://h/x", True), ("C:\\x", False), ("c://x", False), ("a/b", False), ("s3:/b", False)],
)
def test_drive_letters_are_not_protocols(name, expected):
    """A single letter before the colon is a Windows drive, not a protocol."""
    assert is_url(name) is expected


def test_basename_omits_the_query_of_web_addresses():
    """The query of a web address is removed, also if it contains slashes; in a store `?` is part of the name."""
    assert basename("https://h/a/my%20cat.jpg?key=x/y.z") == "my cat.jpg"
    assert basename("s3://b/a/what?.jpg") == "what?.jpg"
    assert basename("s3://b/photos/") == "photos"
    assert basename("a/what?.jpg") == "what?.jpg"


def test_url_path_keeps_its_url():
    path = as_path("s3://b/maps/") / "a#b.png"
    assert (str(path), path.name, str(as_path(path))) == ("s3://b/maps/a#b.png", "a#b.png", "s3://b/maps/a#b.png")
    assert as_path("a/b") == Path("a/b")


@pytest.mark.parametrize(
    ("path", "directory", "expected"),
    [
        ("s3://b/maps/a/x.png", "s3://b/maps", "a/x.png"),
        ("s3://b/x.png", "s3://b/maps", "../x.png"),
        ("s3://other/maps/x.png", "s3://b/maps", "s3://other/maps/x.png"),
        ("s3://b/x.png", "maps", "s3://b/x.png"),
        ("maps/a/x.png", "maps", "a/x.png"),
    ],
)
def test_path_relative_to_a_report(path, directory, expected):
    assert relative_to(path, as_path(directory)) == expected


@pytest.mark.parametrize(
    ("url", "message", "hint"),
    [
        ("nonsense://x/y", "expected a protocol such as s3", None),
        ("file:///x", "not supported", "give the path without file://"),
    ],
)
def test_unsupported_protocol_is_refused(url, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        as_path(url)
    assert caught.value.hint == hint


@pytest.mark.parametrize(("protocol", "extra"), [("s3", "s3"), ("gs", "gs"), ("abfs", "az")])
def test_hint_names_the_extra_to_install(protocol, extra, monkeypatch):
    def missing(name):
        raise ImportError("Install this")

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    paths.require_protocol.cache_clear()
    with pytest.raises(UsageError, match=f"{protocol}://.*Install this") as caught:
        list(find_sources([f"{protocol}://b/x.jpg"]))
    assert caught.value.hint == f"pip install 'gradcam-cli[{extra}]'"


def test_missing_upath_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "upath", None)
    paths.require_protocol.cache_clear()
    with pytest.raises(UsageError, match="memory:// requires the package upath") as caught:
        as_path("memory://x")
    assert caught.value.hint == "pip install 'gradcam-cli[url]'"
