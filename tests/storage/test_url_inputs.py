"""URLs as inputs, on fsspec's memory file system."""

import pytest
from directory_tree import fill

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.discover import find_sources, read_list
from gradcam_cli.images.source import Source
from gradcam_cli.storage.paths import as_path

pytest.importorskip("fsspec", reason="URLs need fsspec")
pytest.importorskip("upath", reason="URLs need universal-pathlib")

pytestmark = pytest.mark.usefixtures("recorded_delays")


def test_url_and_local_directories_give_equal_sources(memory_store, tmp_path):
    """Equal file names give equal sources in equal order."""
    names = "b10.jpg b2.JPG notes.txt .hidden.png .git/x.png sub/c.webp sub10/a.png sub2/a.png x_gradcam.png out/x.png"
    for name in names.split():
        fill(memory_store, f"b/in/{name}")
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = list(find_sources(["memory://b/in"], skip=as_path("memory://b/in/out")))
    local = list(find_sources([str(tmp_path / "in")], skip=tmp_path / "in/out"))
    assert [source.relative_path for source in found] == [source.relative_path for source in local]
    assert [str(source.relative_path) for source in found] == [
        "b2.JPG",
        "b10.jpg",
        "sub/c.webp",
        "sub2/a.png",
        "sub10/a.png",
    ]
    assert found[2].name == "memory://b/in/sub/c.webp"
    assert list(find_sources(["memory://b/in/"], skip=as_path("memory://b/in/out"))) == found


def test_folders_are_listed_lazily(memory_store, monkeypatch):
    fill(memory_store, "b/1.png", "b/sub/2.png")
    listed = []
    original = type(memory_store).ls
    monkeypatch.setattr(
        type(memory_store), "ls", lambda self, path, **how: listed.append(path) or original(self, path, **how)
    )
    sources = find_sources(["memory://b"])
    next(sources)
    assert listed == ["/b"]
    list(sources)
    assert listed == ["/b", "/b/sub"]


def test_several_directories_get_separate_folders(memory_store, tmp_path):
    fill(memory_store, "b/one/x.png", "b/two/x.png")
    (tmp_path / "three").mkdir()
    (tmp_path / "three/x.png").touch()
    found = find_sources(["memory://b/one", "memory://b/two", str(tmp_path / "three")])
    assert [str(source.relative_path) for source in found] == ["one/x.png", "two/x.png", "three/x.png"]


def test_urls_of_files_are_not_listed(memory_store):
    """An image suffix, a file in the store, a web address, and a missing file."""
    fill(memory_store, "b/photo")
    names = ["memory://b/a.jpg", "memory://b/photo", "https://host/photos/", "memory://b/none"]
    assert list(find_sources(names)) == [Source(name) for name in names]


def test_folder_that_cannot_be_listed_is_an_error(memory_store, monkeypatch, recorded_delays):
    def broken(self, path, **how):
        raise OSError("no answer\nfor long")

    monkeypatch.setattr(type(memory_store), "ls", broken)
    with pytest.raises(InputError, match=r"memory://b cannot be listed: no answer$"):
        list(find_sources(["memory://b"]))
    assert recorded_delays == [0.5, 1.0]


def test_list_is_read_from_a_url(memory_store):
    memory_store.pipe_file("/list.txt", b"a.png\nmemory://b/c.png\n")
    assert read_list("memory://list.txt") == ["a.png", "memory://b/c.png"]
    with pytest.raises(UsageError, match="No such file"):
        read_list("memory://none.txt")
