"""Label files, and lookup of classes by index, name and rank."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.labels import Labels, imagenet_labels, read_labels

ANIMALS = Labels(("house cat", "big_cat", "dog", "catfish"))


def resolve(*requests, labels=ANIMALS, count=4):
    return [selector.index_or_rank for selector in resolve_classes(requests, labels, count)]


def test_imagenet_has_1000_classes():
    labels = imagenet_labels()
    assert len(set(labels.ids)) == len(labels.names) == 1000
    assert (labels.names[281], labels.ids[281]) == ("tabby", "n02123045")
    assert (labels.names[0], labels.names[999]) == ("tench", "toilet_tissue")


def test_class_by_index_name_and_rank():
    assert resolve(3, "2", "dog") == [3, 2]
    assert resolve("House_Cat", "big") == [0, 1]
    assert resolve("top", "top3") == [-1, -2, -3]
    assert resolve_classes(["top2"], ANIMALS, 4)[1].text == "top2"


def test_exact_names_win_over_substrings():
    assert resolve("cat", labels=Labels(("cat", "catfish")), count=2) == [0]


def test_class_by_wordnet_id():
    assert resolve("n02123045", labels=imagenet_labels(), count=1000) == [281]


@pytest.mark.parametrize(
    ("request_", "words", "hint"),
    [
        ("cat", "3 classes match", "0 house cat, 1 big_cat, 3 catfish"),
        ("dgo", "not found", "2 dog"),
        ("4", "an index from 0 to 3", None),
        ("top5", "top1 to top4", None),
        ("top0", "top1 to top4", None),
        ("-1", "not found", "index"),
    ],
)
def test_invalid_class_is_refused_with_a_hint(request_, words, hint):
    with pytest.raises(UsageError, match=words) as caught:
        resolve(request_)
    if hint:
        assert hint in caught.value.hint


def test_ambiguous_names_are_listed_with_their_indices():
    """ImageNet has two classes `crane`, the bird and the machine."""
    with pytest.raises(UsageError) as caught:
        resolve("crane", labels=imagenet_labels(), count=1000)
    assert caught.value.hint == "near matches: 134 crane, 517 crane"


@pytest.mark.parametrize(
    "content",
    [
        "cat\ndog\n",
        '["cat", "dog"]',
        '{"0": "cat", "1": "dog"}',
        '{"1": ["n2", "dog"], "0": ["n1", "cat"]}',
        "\ufeffcat\ndog",
    ],
)
def test_label_files_of_all_formats_give_equal_names(tmp_path, content):
    path = tmp_path / "labels"
    path.write_text(content, "utf-8")
    assert read_labels(path).names == ("cat", "dog")


@pytest.mark.parametrize("content", ["[1, 2]", "[", '{"0": ["only"]}', "[" * 100_000, b"\xff\xfe\x00"])
def test_malformed_label_file_is_refused(tmp_path, content):
    path = tmp_path / "labels"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match="labels"):
        read_labels(path)


def test_index_with_thousands_of_digits_is_refused():
    """It raises UsageError like any index that is too large; leading zeros are ignored."""
    assert resolve_classes(["0" * 5000 + "1"], Labels(("a", "b")), 2)[0].index_or_rank == 1
    with pytest.raises(UsageError, match="expected an index from 0 to 1"):
        resolve_classes(["9" * 5000], Labels(("a", "b")), 2)
