"""Which images were mended or broken, and true classes that are given after the runs."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.evaluation.correctness import correctness
from gradcam_cli.evaluation.saved_truth import SavedTruth, truth_in_records
from gradcam_cli.models.labels import Labels
from gradcam_cli.models.truth import TruthSource

ROWS = TruthSource("t.csv", (("a.png", "dog"), ("b.png", "horse")))
LABELS = Labels(("cat", "dog"))
MAP = {"model": "own", "requested_class": "top1", "class_index": 1, "class_name": "dog"}


def truth(right, name="dog", index=1):
    return {"right": right, "class_index": index, "class_name": name}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (truth(right=False), truth(right=True), "mended"),
        (truth(right=True), truth(right=False), "broken"),
        (truth(right=True), truth(right=True), "right"),
        (truth(right=False), truth(right=False), "wrong"),
        (truth(right=None), truth(right=False), "unknown"),
        (truth(right=True), None, "unknown"),
        (truth(right=True), truth(right=False, name="cat", index=0), "unknown"),
        (truth(right=True), truth(right=False, name="Dog", index=7), "broken"),
    ],
    ids=["mended", "broken", "right", "wrong", "no class", "no truth", "another true class", "another index"],
)
def test_what_happened_to_an_image(before, after, expected):
    assert correctness(before, after) == expected


@pytest.mark.parametrize(
    ("image", "changes", "right"),
    [
        ("a.png", {}, True),
        ("a.png", {"class_index": 0, "class_name": "cat"}, False),
        ("b.png", {}, None),
        ("c.png", {}, None),
    ],
)
def test_map_of_the_predicted_class_is_judged_later(image, changes, right):
    assert SavedTruth(ROWS, LABELS).judge({**MAP, **changes, "input": image})["right"] is right


def test_map_of_another_class_has_no_prediction_unless_it_is_saved():
    metadata = {**MAP, "input": "a.png", "requested_class": "cat"}
    assert SavedTruth(ROWS, LABELS).judge(metadata) is None
    saved = {"label": "cat", "right": True, "predicted_index": 0, "predicted_name": "cat"}
    assert SavedTruth(ROWS, LABELS).judge({**metadata, "truth": saved})["right"] is False


def test_names_of_an_own_model_must_be_given():
    assert (
        SavedTruth(TruthSource("t", (("a.png", "tabby"),))).judge({**MAP, "input": "a.png", "model": "vgg19"})[
            "class_index"
        ]
        == 281
    )
    with pytest.raises(UsageError, match="class names of model own are not known"):
        SavedTruth(ROWS).judge({**MAP, "input": "a.png"})


def test_true_classes_of_a_run_are_used_for_its_successor():
    records = [{"input": "x/a.png", "truth": {"label": "dog"}}, {"input": "x/b.png", "truth": {"label": None}}]
    source = truth_in_records(records)
    assert [source.label(f"x/{name}.png") for name in "ab"] == ["dog", None]
    assert truth_in_records([{"input": "a.png"}]) is None
