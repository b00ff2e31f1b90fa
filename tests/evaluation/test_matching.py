"""Annotations matched with images by path, and with the classes of a model."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.annotations.class_map import read_class_map
from gradcam_cli.evaluation.annotations.masks import Annotation
from gradcam_cli.evaluation.annotations.matching import match_categories
from gradcam_cli.images.matching import index_by_path
from gradcam_cli.models.labels import Labels


@pytest.mark.parametrize(
    ("path", "boxes"),
    [
        ("/data/val/a.jpg", [1, 2]),  # all parts match, both annotations
        ("val/a.jpg", [1, 2]),
        ("./val//a.jpg", [1, 2]),
        ("D:\\data\\val\\a.jpg", [1, 2]),
        ("/data/train/a.jpg", [3]),  # written with a backslash
        ("/data/a.jpg", []),  # val/a.jpg or train/a.jpg
        ("interval/a.jpg", []),  # parts match as a whole
        ("/data/b.jpg", [4]),  # the only b.jpg
        ("/data/old/c.jpg", [6]),  # old/c.jpg is longer than c.jpg
        ("/data/new/c.jpg", [5]),
        ("/data/ILSVRC_1.JPEG", [7]),  # annotated without its extension
        ("/data/ILSVRC_1.JPEG.png", []),
        ("/data/new/d.jpg", [9]),  # new/d by its path, not s/d.jpg by its name
        ("/data/a", []),
        ("", []),
    ],
)
def test_annotations_are_matched_by_path(path, boxes):
    files = [
        "val/a.jpg",
        "val/a.jpg",
        "train\\a.jpg",
        "C:\\x\\b.jpg",
        "./c.jpg",
        "old/c.jpg",
        "ILSVRC_1",
        "/",
        "new/d",
        "s/d.jpg",
    ]
    find = index_by_path((file, Annotation(file, "dog", None, (0, 0, x1, 1))) for x1, file in enumerate(files, 1))
    assert [annotation.box[2] for annotation in find(path)] == boxes


@pytest.mark.parametrize(
    "content",
    [
        {"dog": "Chihuahua", "cat": [281, "tiger cat"]},
        b'\xef\xbb\xbf {"dog": ["Chihuahua"], "cat": ["281", "tiger cat"]}',
        "dog,Chihuahua\ncat,281\n\ncat, tiger cat",
    ],
)
def test_class_maps_of_all_formats_are_equal(write, content):
    assert read_class_map(write("map", content)) == {"dog": ["Chihuahua"], "cat": ["281", "tiger cat"]}


NAMES = Labels(("hot dog", "crane", "dog", "crane"), ("n1", "n2", "n3", "n4"))


@pytest.mark.parametrize(
    ("category", "category_id", "indices"),
    [
        ("dog", None, [2]),
        ("Hot_Dog", 3, [0]),
        ("hot-dog", None, [0]),
        ("do", None, []),  # the full name, not a part
        ("hotdog", 0, []),  # an id of another list
        ("crane", 3, [3]),
        ("crane", 2, [1, 3]),
        ("crane", None, [1, 3]),
        ("n3", None, [2]),
    ],
)
def test_categories_match_classes_by_name(category, category_id, indices):
    assert match_categories([(category, category_id)], NAMES, 4) == ({category: indices} if indices else {})


def test_categories_with_the_same_name_are_united():
    assert match_categories([("crane", 3), ("crane", 1), ("dog", 9)], NAMES, 4) == {"crane": [1, 3], "dog": [2]}
    assert match_categories([("crane", 3)], NAMES, 3) == {"crane": [1]}  # the model has no fourth class


def test_categories_match_by_id_if_the_model_has_no_names():
    categories = [("a", 0), ("b", 2), ("c", 3), ("d", -1), ("e", None)]
    assert match_categories(categories, Labels(()), 3) == {"a": [0], "b": [2]}


def test_class_map_replaces_names_and_ids():
    """A category that the class map does not list has no class."""
    class_map = {"bird": ["3", "hot dog", "1"], "dog": []}
    assert match_categories([("bird", 0), ("dog", 2), ("crane", 1)], NAMES, 4, class_map) == {"bird": [0, 1, 3]}


@pytest.mark.parametrize("selector", ["cat", "4", "crane", "top", "top2", "-1"])
def test_invalid_class_in_a_class_map_is_refused(selector):
    """Unknown classes, ambiguous classes and ranks are errors, also for categories that do not occur."""
    with pytest.raises(UsageError, match="class"):
        match_categories([("dog", None)], NAMES, 4, {"other": [selector]})
