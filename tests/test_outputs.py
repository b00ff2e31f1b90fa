"""Every output has its name before anything is computed, and no two share one."""

from pathlib import Path

import pytest

from gradcam_cli.errors import UsageError
from gradcam_cli.inputs import Source
from gradcam_cli.outputs import plan_outputs, read_destination

ONE = [("auto", "gradcam", "top1")]


def planned(sources, output=None, kinds=(), maps=ONE, inputs=()):
    return [
        [str(out.path) for out in outs]
        for _, outs in plan_outputs(sources, read_destination(output, kinds), maps, inputs)
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
    assert planned([Source("cat.jpg")], kinds=("npy", "panel"), maps=maps) == [names]
    assert planned([Source("cat.jpg")], output="all.jpg", kinds=("panel",), maps=maps) == [["all.jpg"] * 2]


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
    ((_, (out,)),) = plan_outputs([Source("cat.jpg")], read_destination(output, kinds), ONE)
    assert (out.kind, str(out.path)) == (expected, output)


def test_other_names_are_directories(tmp_path):
    (tmp_path / "maps.png").mkdir()
    assert read_destination("maps.v2", ()).directory == Path("maps.v2")
    assert read_destination(str(tmp_path / "maps.png"), ()).directory == tmp_path / "maps.png"


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
