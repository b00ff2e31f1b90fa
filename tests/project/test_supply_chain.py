"""Security of the package: no code from data, no shell; the wheel holds the package only and is reproducible."""

import ast
import contextlib
import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from doc_blocks import relative_links
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "gradcam_cli"

FORBIDDEN = {
    *(
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "os.startfile",
        "marshal.load",
        "marshal.loads",
    ),
    *("yaml.load", "pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "joblib.load", "torch.load"),
    *("shelve.open", "subprocess.getoutput", "subprocess.getstatusoutput", "tempfile.mktemp"),
    *("enable_unsafe_deserialization", "keras.config.enable_unsafe_deserialization"),
}
ALLOWED = {("engines/ray_engine.py", "pickle.loads")}
"""Pickles that one process of a run sends to another."""


def calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_call_executes_data(path):
    """No eval, no shell, no unpickling except Ray's; NumPy never allows pickles, Keras always uses its safe mode."""
    name = path.relative_to(PACKAGE).as_posix()
    for called, words in calls(path):
        assert called not in FORBIDDEN or (name, called) in ALLOWED, called
        assert words.get("shell", "False") == "False", called
        assert words.get("allow_pickle", "False") == "False", called
        assert words.get("verify", "True") == "True", called
        if called.endswith("load_model") and "safe_mode" in words:
            assert words["safe_mode"] == "not allow_unsafe", called


def build(target):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT)],
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
    )
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_wheel_holds_the_package_only_and_is_reproducible(tmp_path):
    """The wheel holds every file of the package and the man page, and no other file; two builds give the same bytes."""
    wheel = build(tmp_path / "first")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata_name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
        description = archive.read(metadata_name).decode().partition("\n\n")[2]
    assert description.startswith("# gradcam")
    assert relative_links(description) == []
    assert len(set(names)) == len(names)
    tops = {name.split("/")[0] for name in names}
    assert {top.rpartition(".")[2] for top in tops - {"gradcam_cli"}} == {"dist-info", "data"}
    pages = [name.partition(".data/data/")[2] for name in names if ".data/" in name]
    assert pages == ["share/man/man1/gradcam.1"]
    held = {name for name in names if name.startswith("gradcam_cli/")}
    there = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert held == {path.relative_to(ROOT).as_posix() for path in there}
    licenses = {name.partition("/licenses/")[2] for name in names} - {""}
    assert licenses == {"LICENSE", "LICENSES/Apache-2.0.txt", "NOTICE"}
    assert wheel.stat().st_size < 15 << 20  # most of it the weights of lite0 and mini
    digests = {hashlib.sha256(one.read_bytes()).hexdigest() for one in (wheel, build(tmp_path / "second"))}
    assert len(digests) == 1


def test_pinned_versions_support_the_oldest_python():
    """No pinned version requires a later Python than the package does."""
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"].removeprefix(">=")
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    there = {name: distribution.metadata["Requires-Python"] for name, distribution in installed(pinned)}
    assert len(there) > 100
    late = {name: asked for name, asked in there.items() if asked and f"{oldest}.0" not in SpecifierSet(asked)}
    assert not late


def installed(names):
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):  # for another system
            yield name, metadata.distribution(name)
