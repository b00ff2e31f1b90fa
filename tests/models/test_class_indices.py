"""Keras's `class_indices` as labels: a name has its index, whatever the order of the file."""

import json

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.models.labels import read_labels


def labels(tmp_path, indices):
    (tmp_path / "indices.json").write_text(json.dumps(indices))
    return read_labels(tmp_path / "indices.json")


def test_names_are_in_the_order_of_their_indices(tmp_path):
    assert labels(tmp_path, {"dog": 1, "cow": 2, "cat": 0}).names == ("cat", "dog", "cow")


def test_names_that_are_numbers(tmp_path):
    """Folders 1, 10 and 2, as Keras sorts them."""
    assert labels(tmp_path, {"1": 0, "10": 1, "2": 2}).names == ("1", "10", "2")


@pytest.mark.parametrize(
    "indices", [{"a": 0, "b": 2}, {"a": 1, "b": 2}, {"a": 0, "b": 0}, {"a": 0, "b": True}, {"a": 0.0}]
)
def test_indices_with_gaps_or_duplicates_are_refused(tmp_path, indices):
    with pytest.raises(UsageError, match="class_indices"):
        labels(tmp_path, indices)
