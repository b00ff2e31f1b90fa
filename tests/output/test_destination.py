"""Kinds of output files: suffixes of two parts, and which kinds show which inputs."""

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.output.destination import (
    allowed_kinds,
    format_for_suffix,
    parse_destination,
    require_kind,
    require_rank,
)
from gradcam_cli.storage.paths import as_path, full_suffix


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a/b.NII.gz", ".nii.gz"), ("scan.nii", ".nii"), ("a.tar.gz", ".gz"), ("x.gz", ".gz"), ("a.b/c", ""),
        ("cat.1.png", ".png"), ("s3://bucket/scan.nii.gz", ".nii.gz"),
    ],
)  # fmt: skip
def test_suffixes(name, suffix):
    assert full_suffix(name) == suffix


@pytest.mark.parametrize(
    ("output", "kind", "image_format"),
    [
        ("scan.nii.gz", "nifti", "png"), ("scan.NII", "nifti", "nii"), ("map.gif", "film", "gif"),
        ("walk.mp4", "film", "mp4"), ("x.png", "figure", "png"), ("x.pdf", "figure", "pdf"),
    ],
)  # fmt: skip
def test_the_suffix_selects_the_kind(output, kind, image_format):
    destination = parse_destination(output, ())
    assert (destination.artifact_kinds, str(destination.file)) == ((kind,), output)
    assert destination.image_format == format_for_suffix(as_path(output)) == image_format


def test_kinds_of_inputs():
    assert allowed_kinds("image") == ("figure", "overlay", "heatmap", "grid", "difference", "npy", "npz")
    assert allowed_kinds("signal") == ("figure", "grid", "npy", "npz")
    assert allowed_kinds("film") == ("figure", "grid", "montage", "film", "npy", "npz")
    assert allowed_kinds("volume") == ("figure", "grid", "montage", "film", "npy", "npz", "nifti")


def test_a_kind_that_does_not_show_an_input_is_refused():
    with pytest.raises(UsageError) as caught:
        require_kind("film", "image")
    assert caught.value.message == "--save film: expected a volume or a film as input, got an image"
    assert caught.value.hint == "kinds for images: figure, overlay, heatmap, grid, difference, npy, npz"
    require_kind("nifti", "volume")


@pytest.mark.parametrize(("kind", "rank"), [("overlay", 1), ("overlay", 3), ("nifti", 2), ("montage", 1)])
def test_a_kind_that_shows_no_input_of_a_rank_is_refused(kind, rank):
    require_rank(("figure", "npz"), rank)
    with pytest.raises(UsageError, match=f"--save {kind}: expected"):
        require_rank(("figure", kind), rank)


def test_nifti_is_accepted_for_three_axes():
    """Whether a film or a volume comes is not known."""
    require_rank(("nifti", "film", "montage"), 3)
