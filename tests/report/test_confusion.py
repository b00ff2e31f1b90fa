"""The confusion table of a report against counts by numpy, and its limits."""

import numpy as np
import pytest

from gradcam_cli.reporting.truth import MAX_CLASSES, MAX_PAIRS, class_labels, confusion, entry_truth, truth_states


def entries(pairs, unknown=0):
    known = [{"truth": {"state": "right" if t == p else "wrong", "true": t, "predicted": p}} for t, p in pairs]
    return known + [{"truth": {"state": "unknown", "true": None, "predicted": "a"}}] * unknown + [{"truth": None}]


def test_counts_are_those_of_numpy():
    names = np.array(list("abcde"))
    rng = np.random.default_rng(0)
    true, predicted = rng.integers(0, 4, 200), rng.integers(0, 5, 200)
    expected = np.zeros((5, 5), int)
    np.add.at(expected, (true, predicted), 1)
    table = confusion(entries(zip(names[true], names[predicted], strict=True), unknown=3))
    assert table["classes"] == list("abcde")
    assert [row["true"] for row in table["rows"]] == list("abcd")  # e is predicted only
    counts = [[cell["count"] for cell in row["cells"]] for row in table["rows"]]
    np.testing.assert_array_equal(counts, expected[:4])
    assert [row["right"] for row in table["rows"]] == expected.diagonal()[:4].tolist()
    assert (table["right"], table["total"]) == (np.trace(expected), 200)


def test_pairs_are_the_most_frequent_errors():
    pairs = [("a", "b")] * 2 + [("b", "a")] * 5 + [("a", "a")] * 9 + [("c", "a")] * 2
    listed = [(pair["true"], pair["predicted"], pair["count"]) for pair in confusion(entries(pairs))["pairs"]]
    assert listed == [("b", "a", 5), ("a", "b", 2), ("c", "a", 2)]


def test_large_tables_are_limited_to_the_most_confused_pairs():
    pairs = [(f"{number:03}", f"{number + 1:03}") for number in range(MAX_CLASSES + MAX_PAIRS)]
    table = confusion(entries(pairs))
    assert (table["rows"], len(table["pairs"]), table["num_pairs"]) == ([], MAX_PAIRS, len(pairs))
    assert len(confusion(entries(pairs[: MAX_CLASSES - 1]))["rows"]) == MAX_CLASSES - 1


def test_without_known_classes_there_is_no_table():
    assert confusion(entries([], unknown=2)) is None
    assert truth_states(entries([("a", "b")], unknown=2)) == [
        {"value": "wrong", "label": "wrong", "count": 1},
        {"value": "unknown", "label": "unknown", "count": 2},
    ]


def test_classes_of_one_name_are_told_apart_by_their_index():
    """ImageNet has two cranes; an image of one that is called the other is wrong."""
    truth = {"label": "134", "class_index": 134, "class_name": "crane", "right": False, "predicted_index": 517}
    record = {"truth": {**truth, "predicted_name": "crane"}}
    entry = entry_truth([record], class_labels([record]))
    assert (entry["true"], entry["predicted"], entry["state"]) == ("134 crane", "517 crane", "wrong")


@pytest.mark.parametrize("record", [{}, {"truth": None}])
def test_inputs_without_truth_have_none(record):
    assert entry_truth([record], class_labels([record])) is None
