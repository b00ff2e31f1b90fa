"""Finding the images that are meant."""

import random
import re
from pathlib import Path

import pytest

from gradcam_cli.errors import InputError, UsageError
from gradcam_cli.images.discover import find_sources, natural_key, read_list
from gradcam_cli.images.source import Source


def touch(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(found):
    return [Path(source.name).name for source in found]


def test_natural_order():
    assert sorted(["img10", "img2", "img1"], key=natural_key) == ["img1", "img2", "img10"]


def as_pairs(text):
    """Return the key by its definition: numbers as numbers, before text."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def test_the_natural_key_orders_as_its_definition():
    """Random names of digits, letters, signs below and above the digits, and digits of other scripts."""
    rng = random.Random(0)
    names = ["".join(rng.choices("0019aB \x01-.é٣\udc80", k=rng.randint(0, 9))) for _ in range(3000)]
    names += ["9" * 40, "1" + "0" * 40, "0" * 50 + "7"]
    assert sorted(names, key=natural_key) == sorted(names, key=as_pairs)


def test_equal_numbers_come_in_one_order(tmp_path):
    """Whatever order the disk tells names in."""
    touch(*(tmp_path / f"{name}.png" for name in ("001", "1", "01")))
    assert names(find_sources([str(tmp_path)])) == ["001.png", "01.png", "1.png"]


def test_directories_are_searched_through(tmp_path):
    """Files of the folder, then of the folders below, in natural order; hidden and other files left out."""
    touch(*(tmp_path / name for name in ("b10.jpg", "b2.JPG", "notes.txt", ".hidden.png", ".git/x.png", "sub/c.webp")))
    found = list(find_sources([str(tmp_path)]))
    assert names(found) == ["b2.JPG", "b10.jpg", "c.webp"]
    assert found[-1].relative_path == Path("sub/c.webp")


def test_own_results_are_not_explained_again(tmp_path):
    touch(tmp_path / "cat.jpg", tmp_path / "cat_gradcam.png", tmp_path / "cat_gradcam_top2.png", tmp_path / "out/x.png")
    assert names(find_sources([str(tmp_path)], skip=tmp_path / "out")) == ["cat.jpg"]


def test_several_directories_keep_apart(tmp_path):
    touch(tmp_path / "a/x.png", tmp_path / "b/x.png")
    found = find_sources([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [source.relative_path for source in found] == [Path("a/x.png"), Path("b/x.png")]


def test_files_asked_for_by_name_come_whatever_they_are_called(tmp_path):
    touch(tmp_path / "photo.dat")
    assert list(find_sources([str(tmp_path / "photo.dat"), "-"])) == [Source(str(tmp_path / "photo.dat")), Source("-")]


def test_lists(tmp_path):
    listed = tmp_path / "list"
    listed.write_bytes(b"a b.png\nc.png\n\n")
    assert read_list(str(listed)) == ["a b.png", "c.png"]
    listed.write_bytes(b"new\nline.png\0b.png\0")
    assert read_list(str(listed), nul=True) == ["new\nline.png", "b.png"]
    with pytest.raises(UsageError, match="cannot be read"):
        read_list(str(tmp_path / "none"))


@pytest.mark.parametrize("name", ["missing.png", "", "/dev/null", "nul\0.png"])
def test_what_cannot_be_read(name):
    with pytest.raises(InputError, match=r"cannot be read|device"):
        Source(name).read()
