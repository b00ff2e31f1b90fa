"""Limits of class names: those of label files, those stored in models, and those in names of output files."""

import os

import pytest

from gradcam_cli import load_model
from gradcam_cli.errors import ModelError, UsageError
from gradcam_cli.models import labels
from gradcam_cli.models.class_selection import expand_top_n
from gradcam_cli.models.labels import name_problem, read_labels
from gradcam_cli.output.naming import MAX_PART_BYTES, safe_filename

LONG = "x" * 3_000_000


@pytest.mark.parametrize(
    "content", [f"cat\n{LONG}", f'["cat", "{LONG}"]', f'{{"0": ["n1", "cat"], "1": ["n2", "{LONG}"]}}']
)
def test_long_names_in_label_files_are_refused(tmp_path, content):
    (tmp_path / "labels").write_text(content)
    with pytest.raises(UsageError, match=r"at most 1,000 characters, got 3,000,000 \(class 1\)"):
        read_labels(tmp_path / "labels")


def test_too_many_names_and_too_large_files_are_refused(tmp_path, monkeypatch):
    (tmp_path / "labels").write_text("a\n" * 11)
    monkeypatch.setattr(labels, "MAX_NAMES", 10)
    with pytest.raises(UsageError, match="at most 10 class names, got 11"):
        read_labels(tmp_path / "labels")
    monkeypatch.setattr(labels, "MAX_LABELS_BYTES", 20)
    with pytest.raises(UsageError, match="too large"):
        read_labels(tmp_path / "labels")


def test_pipes_and_devices_are_no_label_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path):
        with pytest.raises(UsageError, match="cannot be read"):
            read_labels(path)


def test_long_names_in_a_model_are_refused(tmp_path):
    """A label file replaces them."""
    from gradcam_cli.neuralode.layers.odenet import build_odenet

    model = build_odenet((8, 8, 1), ("cat", LONG))
    model.save(tmp_path / "long.keras")
    with pytest.raises(ModelError, match="at most 1,000 characters, got 3,000,000") as caught:
        load_model(tmp_path / "long.keras")
    assert "--labels" in caught.value.hint
    (tmp_path / "labels").write_text("cat\ndog\n")
    assert load_model(tmp_path / "long.keras", labels=tmp_path / "labels").labels.names == ("cat", "dog")


def test_names_that_are_not_text_are_refused():
    assert "got int (class 1)" in name_problem(["cat", 1])


def test_long_classes_give_short_and_distinct_file_names():
    first, second = safe_filename("a" * 1000), safe_filename("a" * 1000 + "b")
    assert first != second
    assert max(len(os.fsencode(safe_filename(text))) for text in (first, "\u00e9" * 999)) <= MAX_PART_BYTES
    assert safe_filename("tiger cat") == "tiger-cat"


def test_long_class_on_the_command_line_gives_a_file(cli, photo, model_file, tmp_path):
    """The file of two classes, one with a long name."""
    (tmp_path / "labels").write_text("cat\n" + "y" * 900 + "\ndog\n")
    image = photo("a.png")
    words = ("--labels", tmp_path / "labels", "--preprocess", "-1..1", "--class", "cat", "--class", "y" * 900)
    result = cli(image, "--model", model_file, *words)
    assert (result.status, result.stderr) == (0, "")
    assert len(list(cli.here.glob("a_gradcam_*.png"))) == 2


def test_rank_in_the_billions_is_refused():
    """It is expanded to a list of ranks."""
    with pytest.raises(UsageError, match="expected top1 to top100000"):
        expand_top_n(["top3000000000"])
