"""Every output has its name before anything is computed, and no two share one."""

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


def test_files_go_to_the_current_directory():
    assert planned([Source("some/where/cat.jpg"), Source("-")]) == [["cat_gradcam.png"], ["stdin_gradcam.png"]]


def test_directories_become_a_mirrored_tree():
    assert planned([Source("p/a/cat.jpg", Path("a/cat.jpg"))]) == [["gradcam_out/a/cat_gradcam.png"]]
    assert planned([Source("p/a/cat.jpg", Path("a/cat.jpg"))], "maps") == [["maps/a/cat_gradcam.png"]]


def test_a_sheet_is_one_file_of_all_maps():
    """It gains neither method nor class in its name, and may be named by -o though there are several maps."""
    maps = [("auto", "gradcam", "top1"), ("auto", "layercam", "top1")]
    names = ["cat_gradcam_gradcam.npy", "cat_gradcam_panel.png", "cat_gradcam_layercam.npy", "cat_gradcam_panel.png"]
    assert planned([Source("cat.jpg")], kinds=("npy", "grid"), maps=maps) == [names]
    assert planned([Source("cat.jpg")], output="all.jpg", kinds=("grid",), maps=maps) == [["all.jpg"] * 2]


def test_kinds_have_names_of_their_own():
    kinds = ("figure", "overlay", "heatmap", "npy", "npz")
    names = [
        "cat_gradcam.png",
        "cat_gradcam_overlay.png",
        "cat_gradcam_heatmap.png",
        "cat_gradcam.npy",
        "cat_gradcam.npz",
    ]
    assert planned([Source("cat.jpg")], kinds=kinds) == [names]


def test_names_gain_only_what_differs():
    maps = [("a/conv", "gradcam", "top1"), ("a/conv", "gradcam", "tabby cat")]
    assert planned([Source("cat.jpg")], maps=maps) == [["cat_gradcam_top1.png", "cat_gradcam_tabby-cat.png"]]
    maps = [("a/conv", "gradcam", "top1"), ("b", "gradcam", "top1")]
    assert planned([Source("cat.jpg")], maps=maps) == [["cat_gradcam_a-conv.png", "cat_gradcam_b.png"]]


def test_no_two_inputs_share_an_output():
    """Same stem, same name in another folder, another case: each gets a file of its own."""
    sources = [Source(name) for name in ("cat.jpg", "cat.png", "x/cat.png", "CAT.jpg", "cat.jpg")]
    names = [paths[0] for paths in planned(sources)]
    assert names[:2] == ["cat_gradcam.png", "cat.png_gradcam.png"]
    assert len({name.lower() for name in names}) == 5


def test_folders_that_are_one_share_no_names(tmp_path, monkeypatch):
    """Folders of one name or of another case, links in the output tree, and files named beside directories."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "maps/real").mkdir(parents=True)
    (tmp_path / "maps/link").symlink_to("real")
    places = ["a/x.png", "b/x.png", "a/x.png", "A/x.png", "real/x.png", "link/x.png"]
    sources = [Source(f"{number}/x.png", Path(name)) for number, name in enumerate(places)]
    (*paths,) = planned([*sources, Source("x.png"), Source("y/x.png", Path("x.png"))], "maps")
    assert len({os.path.realpath(path).lower() for (path,) in paths}) == len(paths)
    assert paths[:2] == [["maps/a/x_gradcam.png"], ["maps/b/x_gradcam.png"]]


@pytest.mark.parametrize("given", ["cat_gradcam.png", "link.png", "folder/cat_gradcam.png", "./Cat_gradcam.png"])
def test_links_to_inputs_protect_them(given, tmp_path, monkeypatch):
    """An input is not overwritten, by whatever name it was given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat_gradcam.png").touch()
    (tmp_path / "link.png").symlink_to("cat_gradcam.png")
    (tmp_path / "folder").symlink_to(".")
    assert planned([Source("cat.jpg")], inputs=[given]) == [["cat.jpg_gradcam.png"]]


def test_a_link_in_an_outputs_place_is_replaced_and_not_followed(tmp_path):
    """What it leads to stays as it was, so that it needs no other name."""
    (tmp_path / "cat.jpg").write_bytes(b"photo")
    link = tmp_path / "cat_gradcam.png"
    link.symlink_to("cat.jpg")
    write_output(link, b"map")
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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["found", "named"])
def test_a_million_inputs_are_planned_in_little_memory(kind):
    """The process grows by megabytes: 8 bytes a name, in a table that is a third to two thirds full."""
    done = subprocess.run([sys.executable, "-c", MILLION, kind], capture_output=True, text=True, check=True)
    count, growth = map(float, done.stdout.split())
    assert count == 1_000_000
    assert growth < 50


def test_inputs_are_never_overwritten():
    given = ["cat.jpg", "cat_gradcam.png"]
    assert planned([Source("cat.jpg")], inputs=given) == [["cat.jpg_gradcam.png"]]
    with pytest.raises(UsageError, match="overwritten"):
        planned([Source("cat.png")], "cat.png", inputs=["cat.png"])


@pytest.mark.parametrize(
    ("output", "kinds", "expected"),
    [("x.png", (), "figure"), ("x.png", ("overlay",), "overlay"), ("x.npz", (), "npz"), ("x.NPY", (), "npy")],
)
def test_one_named_file(output, kinds, expected):
    ((_, (out,)),) = plan_outputs([Source("cat.jpg")], parse_destination(output, kinds), ONE)
    assert (out.kind, str(out.path)) == (expected, output)


def test_other_names_are_directories(tmp_path):
    (tmp_path / "maps.png").mkdir()
    assert parse_destination("maps.v2", ()).directory == Path("maps.v2")
    assert parse_destination(str(tmp_path / "maps.png"), ()).directory == tmp_path / "maps.png"


@pytest.mark.parametrize(
    ("sources", "output", "kinds", "maps", "words"),
    [
        (["a.jpg", "b.jpg"], "x.png", (), ONE, "one input"),
        (["a.jpg"], "x.png", (), ONE * 2, "one map"),
        (["a.jpg"], "x.png", ("npz",), ONE, "expected a name for npz"),
        (["a.jpg"], "-", ("npz", "npy"), ONE, "one kind"),
    ],
)
def test_one_file_for_several_results(sources, output, kinds, maps, words):
    with pytest.raises(UsageError, match=words):
        planned([Source(name) for name in sources], output, kinds, maps)
