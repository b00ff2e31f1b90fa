"""Class names, and classes asked for by index, name and rank."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import resolve_classes
from gradcam_cli.models.labels import Labels, imagenet_labels, read_labels

ANIMALS = Labels(("house cat", "big_cat", "dog", "catfish"))


def codes(*requests, labels=ANIMALS, count=4):
    return [requested.index_or_rank for requested in resolve_classes(requests, labels, count)]


def test_imagenet_has_its_thousand():
    labels = imagenet_labels()
    assert len(set(labels.ids)) == len(labels.names) == 1000
    assert (labels.names[281], labels.ids[281]) == ("tabby", "n02123045")
    assert (labels.names[0], labels.names[999]) == ("tench", "toilet_tissue")


def test_indices_names_ranks():
    assert codes(3, "2", "dog") == [3, 2]
    assert codes("House_Cat", "big") == [0, 1]
    assert codes("top", "top3") == [-1, -2, -3]
    assert resolve_classes(["top2"], ANIMALS, 4)[1].text == "top2"


def test_exact_names_win_over_parts():
    assert codes("cat", labels=Labels(("cat", "catfish")), count=2) == [0]


def test_wordnet_ids():
    assert codes("n02123045", labels=imagenet_labels(), count=1000) == [281]


@pytest.mark.parametrize(
    ("request_", "words", "hint"),
    [
        ("cat", "got 3", "0 house cat, 1 big_cat, 3 catfish"),
        ("dgo", "got none", "2 dog"),
        ("4", "an index from 0 to 3", None),
        ("top5", "top1 to top4", None),
        ("top0", "top1 to top4", None),
        ("-1", "got none", "index"),
    ],
)
def test_what_is_not_one_class(request_, words, hint):
    with pytest.raises(UsageError, match=words) as caught:
        codes(request_)
    if hint:
        assert hint in caught.value.hint


def test_ambiguous_exact_names_are_listed_with_their_numbers():
    """ImageNet has two cranes, the bird and the machine."""
    with pytest.raises(UsageError) as caught:
        codes("crane", labels=imagenet_labels(), count=1000)
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
def test_every_form_of_labels_file(tmp_path, content):
    path = tmp_path / "labels"
    path.write_text(content, "utf-8")
    assert read_labels(path).names == ("cat", "dog")


@pytest.mark.parametrize("content", ['{"cat": 0}', "[1, 2]", "[", '{"0": ["only"]}', "[" * 100_000, b"\xff\xfe\x00"])
def test_broken_labels_files(tmp_path, content):
    path = tmp_path / "labels"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError, match="labels"):
        read_labels(path)


def test_numbers_of_any_length():
    """An index of thousands of digits is refused like any other that is too large; zeros in front do not count."""
    assert resolve_classes(["0" * 5000 + "1"], Labels(("a", "b")), 2)[0].index_or_rank == 1
    with pytest.raises(UsageError, match="expected an index from 0 to 1"):
        resolve_classes(["9" * 5000], Labels(("a", "b")), 2)
