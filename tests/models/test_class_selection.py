"""Classes by index, name and rank; names that are numbers."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.labels import Labels

FOLDERS = Labels(tuple(sorted(str(number) for number in range(1, 13))))
"""Folders 1 to 12 as Keras sorts them: 1, 10, 11, 12, 2, ..."""


def index_of(request, labels=FOLDERS, count=12):
    (selector,) = resolve_classes([request], labels, count)
    return selector.index_or_rank


def test_a_number_that_names_another_class_is_refused_with_both_readings():
    assert FOLDERS.names[10] == "8"
    with pytest.raises(UsageError, match="index 10 is '8', and the class named '10' has index 1") as caught:
        index_of("10")
    assert "index:10" in caught.value.hint
    assert "name:10" in caught.value.hint


@pytest.mark.parametrize(("request_", "index"), [("index:10", 10), (10, 10), ("name:10", 1), (0, 0), ("name:8", 10)])
def test_prefixes_choose_the_reading(request_, index):
    assert index_of(request_) == index


def test_a_number_that_names_the_same_class_or_none_is_an_index():
    assert index_of("2", Labels(("0", "1", "2")), 3) == 2
    assert index_of("2", Labels(("cat", "dog", "cow")), 3) == 2
    assert index_of("0") == 0


def test_a_name_with_a_colon_is_a_name():
    assert index_of("name: x", Labels(("a", "name: x")), 2) == 1
