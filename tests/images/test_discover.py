"""Expansion of directories, files and lists to sources."""

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


def test_numbers_in_names_sort_by_value():
    assert sorted(["img10", "img2", "img1"], key=natural_key) == ["img1", "img2", "img10"]


def as_pairs(text):
    """Return the reference key: numbers as integers, ordered before text."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def test_natural_key_orders_like_the_reference_key():
    """Random names of digits, letters, other ASCII characters, and digits of other scripts."""
    rng = random.Random(0)
    names = ["".join(rng.choices("0019aB \x01-.é٣\udc80", k=rng.randint(0, 9))) for _ in range(3000)]
    names += ["9" * 40, "1" + "0" * 40, "0" * 50 + "7"]
    assert sorted(names, key=natural_key) == sorted(names, key=as_pairs)


def test_equal_numbers_have_a_fixed_order(tmp_path):
    """The order of the directory listing does not matter."""
    touch(*(tmp_path / f"{name}.png" for name in ("001", "1", "01")))
    assert names(find_sources([str(tmp_path)])) == ["001.png", "01.png", "1.png"]


def test_directories_are_searched_recursively(tmp_path):
    """Files precede subfolders, in natural order; hidden files and other suffixes are skipped."""
    touch(*(tmp_path / name for name in ("b10.jpg", "b2.JPG", "notes.txt", ".hidden.png", ".git/x.png", "sub/c.webp")))
    found = list(find_sources([str(tmp_path)]))
    assert names(found) == ["b2.JPG", "b10.jpg", "c.webp"]
    assert found[-1].relative_path == Path("sub/c.webp")


def test_output_files_are_not_inputs(tmp_path):
    touch(tmp_path / "cat.jpg", tmp_path / "cat_gradcam.png", tmp_path / "cat_gradcam_top2.png", tmp_path / "out/x.png")
    assert names(find_sources([str(tmp_path)], skip=tmp_path / "out")) == ["cat.jpg"]


def test_several_directories_get_separate_folders(tmp_path):
    touch(tmp_path / "a/x.png", tmp_path / "b/x.png")
    found = find_sources([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [source.relative_path for source in found] == [Path("a/x.png"), Path("b/x.png")]


def test_named_files_may_have_any_suffix(tmp_path):
    touch(tmp_path / "photo.dat")
    assert list(find_sources([str(tmp_path / "photo.dat"), "-"])) == [Source(str(tmp_path / "photo.dat")), Source("-")]


def test_list_of_paths_by_line_or_nul(tmp_path):
    listed = tmp_path / "list"
    listed.write_bytes(b"a b.png\nc.png\n\n")
    assert read_list(str(listed)) == ["a b.png", "c.png"]
    listed.write_bytes(b"new\nline.png\0b.png\0")
    assert read_list(str(listed), nul=True) == ["new\nline.png", "b.png"]
    with pytest.raises(UsageError, match="cannot be read"):
        read_list(str(tmp_path / "none"))


@pytest.mark.parametrize("name", ["missing.png", "", "/dev/null", "nul\0.png"])
def test_unreadable_source_is_an_error(name):
    with pytest.raises(InputError, match=r"cannot be read|device"):
        Source(name).read()
