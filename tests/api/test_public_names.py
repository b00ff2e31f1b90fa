"""The public names: their documentation, their keywords and errors, and their types."""

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradcam_cli
from gradcam_cli import keywords
from gradcam_cli.errors import GradcamError, UsageError

ROOT = Path(__file__).parents[2]
FUNCTIONS = [name for name in gradcam_cli.__all__ if inspect.isfunction(getattr(gradcam_cli, name))]


def test_every_name_has_one_module():
    listed = [name for names in gradcam_cli._MODULES.values() for name in names]
    assert sorted(listed) == sorted(gradcam_cli.__all__)
    assert gradcam_cli.__all__ == sorted(gradcam_cli.__all__)


@pytest.mark.parametrize("name", gradcam_cli.__all__)
def test_every_name_is_documented(name):
    """Functions have an example in docs/python.md that a test runs, with their summary; all names have a docstring."""
    public = getattr(gradcam_cli, name)
    assert public.__doc__
    if name in FUNCTIONS:
        blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
        assert any(re.search(rf"^from gradcam_cli import .*\b{name}\b", block, re.MULTILINE) for block in blocks)
        documented = re.findall(r"^ {8}(\*{0,2}\w+)", public.__doc__.split("Args:")[1].split("\n\n")[0], re.MULTILINE)
        assert [each.lstrip("*") for each in documented] == list(inspect.signature(public).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_misspelt_keywords_are_named(name):
    function = getattr(gradcam_cli, name)
    if name == "grid":  # its options are those of a picture
        return
    keyword = [each for each, kind in inspect.signature(function).parameters.items() if kind.kind == kind.KEYWORD_ONLY]
    with pytest.raises(TypeError, match=rf"^{name}\(\) got an unexpected keyword '{keyword[0]}x': did you mean"):
        function("a", **{f"{keyword[0]}x": 1})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--class-map requires --annotations", "class_map requires annotations"),
        ("give --class NAME or --min-images", "give target_class NAME or min_images"),
        ("give --import PACKAGE", "give packages PACKAGE"),
        ("write them with --save npz", "write them with --save npz"),
        ("repeat the option: --layer a --layer b", "give a list"),
        ("a--class", "a--class"),
    ],
)
def test_options_become_keywords(text, expected):
    known = ("annotations", "class_map", "target_class", "min_images", "packages")
    assert keywords.in_python_words(text, known) == expected


@pytest.mark.parametrize(
    ("name", "arguments", "options", "message"),
    [
        ("explain", ("a.png", "mini"), {"gamma": 0.5}, "gamma 0.5 requires against"),
        ("explain", ("a.png", "mini"), {"layer": "x,y"}, "the model has no layer 'x,y'"),
        ("evaluate", (["a.png"], "mini"), {"metrics": "iou"}, "iou requires annotations"),
        ("evaluate", (["a.png"], "mini"), {"metrics": "grid", "target_class": 1}, "target_class: metrics on mosaics"),
        ("evaluate", (["a.png"], "mini"), {"class_map": "x.json"}, "class_map requires annotations"),
        ("evaluate", ("a.png", "mini"), {}, "images: expected several images, got one str"),
        ("evaluate", ([b""], "mini"), {"annotations": "README.md"}, "annotations: expected images given as paths"),
        ("compare", ("a", "no such model"), {}, "after no such model: expected a directory of results or a model"),
        ("compare", ("missing", "mini"), {}, "no .npz files found in missing"),
        ("compare", (".", "."), {"weights": "x"}, "weights: expected a model, got a directory of results"),
        ("layers", ("mini",), {"target": "everything"}, "target: expected class, segment"),
        ("layers", ("no such model",), {}, "model 'no such model' not found"),
    ],
)
def test_errors_name_keywords(name, arguments, options, message):
    with pytest.raises(GradcamError) as caught:
        getattr(gradcam_cli, name)(*arguments, **options)
    assert caught.value.message.startswith(message), caught.value.message
    assert str(caught.value) == caught.value.message
    assert "--" not in caught.value.message


def test_iterators_are_refused_where_images_are_read_twice():
    for options in ({"sanity_check": True}, {"metrics": ["deletion", "grid"]}):
        with pytest.raises(UsageError, match="got an iterator"):
            gradcam_cli.evaluate(iter(["a.png"]), "mini", **options)


TYPED = """
from gradcam_cli import audit, compare, evaluate, explain, explain_many, layers, report

reveal_type(layers("mini")[0].excluded)
reveal_type(compare("before", "after").drifts)
reveal_type([each.to_dict() for each in compare("before", "after")])
reveal_type(compare("before", "after").check(max_drift={"rank": 0.1}))
reveal_type(evaluate(["a.png"]).rows[0].values)
reveal_type(audit("photos").classes[0].concepts[0].importance.mean)
reveal_type(report("maps").num_invalid)
reveal_type(explain("a.png", expect="tabby").to_dict())
reveal_type([each.to_dict() for each in explain_many(["a.png"], on_error="yield")])
"""
REVEALED = [
    "str | None",
    "dict[str, float]",
    "list[dict[str, Any]]",
    "list[str]",
    "dict[str, float | None]",
    "float",
    "int",
    "dict[str, Any]",
    "list[dict[str, Any]]",
]


@pytest.mark.extended
def test_results_are_typed(tmp_path):
    """A type checker infers the types of the results, in strict mode."""
    pytest.importorskip("mypy")
    (tmp_path / "program.py").write_text(TYPED)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml", "program.py"]
    done = subprocess.run(
        list(map(str, command)), cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(ROOT)}
    )
    found = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert [re.sub(r"builtins\.|typing\.", "", each) for each in found] == REVEALED, done.stdout
    assert "error" not in done.stdout
