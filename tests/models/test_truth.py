"""The true classes of images: folders and tables, their quirks and their errors."""

import pickle

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.models.class_selection import TRUE_CLASS, find_exact_class, resolve_classes
from gradcam_cli.models.labels import Labels, imagenet_labels
from gradcam_cli.models.truth import TruthSource, read_truth, require_known_class

COLORS = Labels(("red", "light blue", "Blue"))


@pytest.fixture
def table(tmp_path):
    """Write a table and read it."""

    def read(data):
        path = tmp_path / "truth.csv"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        return read_truth(str(path))

    return read


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("photos/tabby/cat.jpg", "tabby"),
        ("/data/tabby cat/cat.jpg", "tabby cat"),
        ("./tabby/cat.jpg", "tabby"),
        ("s3://bucket/tabby/cat.jpg", "tabby"),
        ("https://example.org/tabby/cat.jpg?size=a/b", "tabby"),
        ("-", None),
        ("/cat.jpg", None),
    ],
)
def test_parent_is_the_name_of_the_folder(image, label):
    assert read_truth("parent").label(image) == label


def test_image_without_a_folder_belongs_to_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "tabby").mkdir()
    monkeypatch.chdir(tmp_path / "tabby")
    assert read_truth("parent").label("cat.jpg") == "tabby"


@pytest.mark.parametrize(
    "data",
    [
        "image,class\na.jpg,tabby\n",
        "\ufeffimage,class\r\na.jpg,tabby\r\n",
        'class, image ,note\n"tabby", "a.jpg","x, ""y"""\n',
        "image,class\n\n./a.jpg,tabby\n\n",
        "image,class\n..\\x\\a.jpg,tabby\n",
        "image,class\nx/a,tabby\n",
    ],
    ids=["plain", "byte order mark and CRLF", "quotes", "blank lines", "backslashes", "no extension"],
)
def test_tables_of_all_styles_are_read(table, data):
    """Columns are found by their names; the path of a row is the end of the path of its image."""
    assert table(data).label("/photos/x/a.jpg") == "tabby"


def test_longest_path_wins_and_no_file_name_is_guessed(table):
    truth = table("image,class\ntrain/a.jpg,dog\na.jpg,cat\nval/b.jpg,cow\n")
    assert truth.label("/x/train/a.jpg") == "dog"
    assert truth.label("/x/val/a.jpg") == "cat"
    assert truth.label("/x/train/b.jpg") is None
    assert pickle.loads(pickle.dumps(truth)).label("/x/train/a.jpg") == "dog"


def test_equal_rows_of_an_image_are_one(table):
    assert table("image,class\na.jpg,Light_blue\n./a.jpg,light blue\n").label("a.jpg") == "Light_blue"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("image,class\na.jpg,cat\nb.jpg,cat\n./a.jpg,dog\n", "two classes for a.jpg: cat in line 2, and dog in line 4"),
        ("a.jpg,cat\n", "expected one column image in the first line, got 0"),
        ("image;class\na.jpg;cat\n", "expected one column image in the first line, got 0"),
        ("image,class,class\na.jpg,cat,dog\n", "expected one column class in the first line, got 2"),
        ("image,class\na.jpg\n", "line 2: expected 2 fields, got 1"),
        ("image,class\na.jpg, \n", "line 2: expected an image and a class, got none"),
        ("image,class\n", "expected a row for each image, got none"),
        ('image,class\n"a.jpg,cat\n', "expected a CSV file in UTF-8"),
        (b"image,class\n\xff.jpg,cat\n", "expected a CSV file in UTF-8"),
    ],
)
def test_unclear_tables_are_refused(table, data, message):
    with pytest.raises(UsageError) as caught:
        table(data)
    assert message in caught.value.message


def test_missing_file_names_both_forms(tmp_path):
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_truth(str(tmp_path / "none.csv"))
    assert caught.value.hint == "expected parent, or a CSV file"


@pytest.mark.parametrize(("text", "index"), [("RED", 0), ("Light-Blue", 1), ("2", 2), ("blue", 2), ("index:1", 1)])
def test_exact_names_and_indices_are_classes(text, index):
    assert find_exact_class(text, COLORS, 3) == index


@pytest.mark.parametrize("text", ["light", "3", "truth", "", "top", "re"])
def test_nothing_else_is_a_class(text):
    """Part of a name selects a class with --class, but is no true class."""
    with pytest.raises(UsageError):
        find_exact_class(text, COLORS, 3)
    assert resolve_classes(["light"], COLORS, 3)[0].index_or_rank == 1


def test_wordnet_ids_are_classes_and_a_shared_name_is_ambiguous():
    labels = imagenet_labels()
    assert find_exact_class("n02123045", labels, 1000) == labels.ids.index("n02123045")
    with pytest.raises(UsageError, match="2 classes match"):
        find_exact_class("crane", labels, 1000)


def test_table_without_any_class_of_the_model_is_refused():
    require_known_class(TruthSource("t.csv", (("a", "cat"), ("b", "red"))), COLORS, 3)
    with pytest.raises(UsageError, match=r"t\.csv: none of its classes is one of the model"):
        require_known_class(TruthSource("t.csv", (("a", "cat"), ("b", "dog"))), COLORS, 3)


def test_truth_is_a_request_only_with_true_classes():
    assert [s.index_or_rank for s in resolve_classes(["top", "truth"], COLORS, 3, has_truth=True)] == [-1, TRUE_CLASS]
    assert resolve_classes(["truth"], Labels(("lie", "truth")), 2)[0].index_or_rank == 1
    with pytest.raises(UsageError, match="class truth requires --truth"):
        resolve_classes(["truth"], COLORS, 3)
