"""Output file names: mirrored trees, unique names, protected inputs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import plan_outputs
from gradcam_cli.storage.files import write_output

ONE = [("auto", "gradcam", "top1")]


def planned(sources, output=None, kinds=(), maps=ONE, inputs=()):
    return [
        [str(out.path) for out in outs]
        for _, outs in plan_outputs(sources, parse_destination(output, kinds), maps, inputs)
    ]


def test_outputs_of_files_are_in_the_current_directory():
    assert planned([Source("some/where/cat.jpg"), Source("-")]) == [["cat_gradcam.png"], ["stdin_gradcam.png"]]


def test_outputs_of_directories_are_a_mirrored_tree():
    assert planned([Source("p/a/cat.jpg", Path("a/cat.jpg"))]) == [["gradcam_out/a/cat_gradcam.png"]]
    assert planned([Source("p/a/cat.jpg", Path("a/cat.jpg"))], "maps") == [["maps/a/cat_gradcam.png"]]


def test_grid_is_one_file_of_all_maps():
    """Its name has neither method nor class, and -o may be a file although there are several maps."""
    maps = [("auto", "gradcam", "top1"), ("auto", "layercam", "top1")]
    names = ["cat_gradcam_gradcam.npy", "cat_gradcam_grid.png", "cat_gradcam_layercam.npy", "cat_gradcam_grid.png"]
    assert planned([Source("cat.jpg")], kinds=("npy", "grid"), maps=maps) == [names]
    assert planned([Source("cat.jpg")], output="all.jpg", kinds=("grid",), maps=maps) == [["all.jpg"] * 2]


def test_artifact_kinds_have_different_names():
    kinds = ("figure", "overlay", "heatmap", "npy", "npz")
    names = [
        "cat_gradcam.png",
        "cat_gradcam_overlay.png",
        "cat_gradcam_heatmap.png",
        "cat_gradcam.npy",
        "cat_gradcam.npz",
    ]
    assert planned([Source("cat.jpg")], kinds=kinds) == [names]


def test_names_contain_only_what_differs():
    maps = [("a/conv", "gradcam", "top1"), ("a/conv", "gradcam", "tabby cat")]
    assert planned([Source("cat.jpg")], maps=maps) == [["cat_gradcam_top1.png", "cat_gradcam_tabby-cat.png"]]
    maps = [("a/conv", "gradcam", "top1"), ("b", "gradcam", "top1")]
    assert planned([Source("cat.jpg")], maps=maps) == [["cat_gradcam_a-conv.png", "cat_gradcam_b.png"]]


@pytest.mark.parametrize(
    "maps",
    [
        [("a", "gradcam", "k*t*"), ("a", "gradcam", "k?t*")],  # special characters become hyphens
        [("a", "gradcam", "Bass"), ("a", "gradcam", "bass")],  # one file on a file system that ignores case
        [("a/b", "gradcam", "top1"), ("a-b", "gradcam", "top1")],
        [("a_b", "gradcam", "c"), ("a", "gradcam", "b_c"), ("a", "gradcam", "c")],  # parts are joined by _
    ],
)
def test_every_map_of_an_image_has_a_file_of_its_own(maps):
    names = planned([Source("cat.jpg")], kinds=("figure", "npz"), maps=maps)[0]
    assert len({name.casefold() for name in names}) == 2 * len(maps)
    assert names == planned([Source("cat.jpg")], kinds=("figure", "npz"), maps=maps)[0]


def test_outputs_are_unique():
    """Equal stems, equal names in different folders, and names that differ in case get different outputs."""
    sources = [Source(name) for name in ("cat.jpg", "cat.png", "x/cat.png", "CAT.jpg", "cat.jpg")]
    names = [paths[0] for paths in planned(sources)]
    assert names[:2] == ["cat_gradcam.png", "cat.png_gradcam.png"]
    assert len({name.lower() for name in names}) == 5


def test_outputs_are_unique_across_aliased_folders(tmp_path, monkeypatch):
    """Equal folders, folders that differ in case, links in the output tree, and files next to directories."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps/real").mkdir(parents=True)
    (tmp_path / "maps/link").symlink_to("real")
    names = ["a/x.png", "b/x.png", "a/x.png", "A/x.png", "real/x.png", "link/x.png"]
    sources = [Source(f"{number}/x.png", Path(name)) for number, name in enumerate(names)]
    (*paths,) = planned([*sources, Source("x.png"), Source("y/x.png", Path("x.png"))], "maps")
    assert len({os.path.realpath(path).lower() for (path,) in paths}) == len(paths)
    assert paths[:2] == [["maps/a/x_gradcam.png"], ["maps/b/x_gradcam.png"]]


@pytest.mark.parametrize("path", ["cat_gradcam.png", "link.png", "folder/cat_gradcam.png", "./Cat_gradcam.png"])
def test_linked_inputs_are_protected(path, tmp_path, monkeypatch):
    """An input is not overwritten, also if it was given through a link or in another case."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat_gradcam.png").touch()
    (tmp_path / "link.png").symlink_to("cat_gradcam.png")
    (tmp_path / "folder").symlink_to(".")
    assert planned([Source("cat.jpg")], inputs=[path]) == [["cat.jpg_gradcam.png"]]


def test_output_replaces_a_link(tmp_path):
    """The link is replaced, and its target is unchanged."""
    (tmp_path / "cat.jpg").write_bytes(b"photo")
    link = tmp_path / "cat_gradcam.png"
    link.symlink_to("cat.jpg")
    write_output(link, b"map", tmp_path)
    assert ((tmp_path / "cat.jpg").read_bytes(), link.read_bytes()) == (b"photo", b"map")


MILLION = """
import resource, sys
from pathlib import Path
from gradcam_cli.images.source import Source
from gradcam_cli.output.destination import parse_destination
from gradcam_cli.output.naming import plan_outputs

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def found():
    for number in range(1_000_000):
        folder = f"{number // 1000:03}"
        yield Source(f"photos/{folder}/{number}.jpg", Path(folder) / f"{number}.jpg")

def named():
    return (Source(path) for path in paths)

paths = [f"photos/{number // 1000:03}/{number}.jpg" for number in range(1_000_000)] if sys.argv[1] == "named" else []
before, count = peak(), 0
for _, outputs in plan_outputs(globals()[sys.argv[1]](), parse_destination("maps", ()), [("", "", "")], paths):
    count += len(outputs)
print(count, peak() - before)
"""


@pytest.mark.extended
@pytest.mark.parametrize("kind", ["found", "named"])
def test_a_million_inputs_are_planned_in_little_memory(kind):
    """Memory grows by about 100 bytes per input, for the set of digests."""
    completed = subprocess.run([sys.executable, "-c", MILLION, kind], capture_output=True, text=True, check=True)
    count, growth = map(float, completed.stdout.split())
    assert count == 1_000_000
    assert growth < 160


def test_inputs_are_never_overwritten():
    inputs = ["cat.jpg", "cat_gradcam.png"]
    assert planned([Source("cat.jpg")], inputs=inputs) == [["cat.jpg_gradcam.png"]]
    with pytest.raises(UsageError, match="overwritten"):
        planned([Source("cat.png")], "cat.png", inputs=["cat.png"])


@pytest.mark.parametrize(
    ("output", "kinds", "expected"),
    [("x.png", (), "figure"), ("x.png", ("overlay",), "overlay"), ("x.npz", (), "npz"), ("x.NPY", (), "npy")],
)
def test_suffix_of_the_output_file_selects_its_kind(output, kinds, expected):
    ((_, (out,)),) = plan_outputs([Source("cat.jpg")], parse_destination(output, kinds), ONE)
    assert (out.kind, str(out.path)) == (expected, output)


def test_maps_in_the_space_of_a_volume_are_compressed():
    ((_, (out,)),) = plan_outputs([Source("a/scan.png")], parse_destination(None, ("nifti",)), ONE)
    assert str(out.path) == "scan_gradcam.nii.gz"


def test_other_suffixes_and_directories_are_directories(tmp_path):
    (tmp_path / "maps.png").mkdir()
    assert parse_destination("maps.v2", ()).directory == Path("maps.v2")
    assert parse_destination(str(tmp_path / "maps.png"), ()).directory == tmp_path / "maps.png"


@pytest.mark.parametrize("output", ["out.webp", "out.jp2", "OUT.TIF", "out.bmp", "s3://bucket/out.avif", "a/out.heic"])
def test_files_of_other_image_formats_are_refused(output):
    """They are no directories by mistake."""
    with pytest.raises(
        UsageError, match=r"cannot write \.[a-z0-9]+ files: expected a name ending in .*\.png"
    ) as caught:
        parse_destination(output, ())
    assert caught.value.hint == f"a directory of this name is {output}/"


def test_a_directory_may_have_the_name_of_an_image(tmp_path):
    """It exists, or a slash ends its name."""
    assert parse_destination("new.gif/", ()).directory == Path("new.gif")
    (tmp_path / "old.webp").mkdir()
    assert parse_destination(str(tmp_path / "old.webp"), ()).directory == tmp_path / "old.webp"


@pytest.mark.parametrize(
    ("sources", "output", "kinds", "maps", "words"),
    [
        (["a.jpg", "b.jpg"], "x.png", (), ONE, "one input"),
        (["a.jpg"], "x.png", (), ONE * 2, "one map"),
        (["a.jpg"], "x.png", ("npz",), ONE, "expected a file for npz"),
        (["a.jpg"], "-", ("npz", "npy"), ONE, "one kind"),
    ],
)
def test_single_file_for_several_results_is_refused(sources, output, kinds, maps, words):
    with pytest.raises(UsageError, match=words):
        planned([Source(name) for name in sources], output, kinds, maps)
