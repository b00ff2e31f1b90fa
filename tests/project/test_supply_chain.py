"""What the package may do and carry: no code from data, no shell; a wheel of known contents, built alike twice."""

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
from audit import told
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
"""Between processes of one run, of what one of them has made."""
CARRIED = {".py": 50, ".js": 4, ".j2": 4, ".css": 1, ".json": 1, ".npz": 2, ".txt": 1}
"""Suffixes of the files in the package, with at least so many of each."""


def calls(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_makes_code_of_data(path):
    """No evaluation, no shell, no unpickling but Ray's; NumPy never with pickles, a model never without safe mode."""
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
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path):
    """Every file of the package, none of the tests, notes or caches; no name that leads out; twice the same bytes."""
    wheel = build(tmp_path / "first")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(set(names)) == len(names)
    tops = {name.split("/")[0] for name in names}
    (information,) = tops - {"gradcam_cli"}
    assert information.endswith(".dist-info")
    held = {name for name in names if name.startswith("gradcam_cli/")}
    there = {path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert held == {path.relative_to(ROOT).as_posix() for path in there}
    suffixes = [Path(name).suffix for name in held]
    assert set(suffixes) == set(CARRIED)
    assert all(suffixes.count(suffix) >= least for suffix, least in CARRIED.items())
    assert wheel.stat().st_size < 6 << 20  # most of it the built-in network
    digests = {hashlib.sha256(one.read_bytes()).hexdigest() for one in (wheel, build(tmp_path / "second"))}
    assert len(digests) == 1


def test_known_holes_are_told():
    """What pip-audit says of a version with two holes, one without, and one that the index knows nothing of."""
    holes = [{"id": "CVE-1", "fix_versions": ["2.1", "3.0"]}, {"id": "CVE-2", "fix_versions": []}]
    found = [
        {"name": "a", "version": "2.0", "vulns": holes},
        {"name": "b", "version": "1.0", "vulns": []},
        {"name": "c", "version": "1.0", "skip_reason": "not found"},
    ]
    lines, known, number = told(found)
    assert lines == ["a 2.0: CVE-1, mended in 2.1, 3.0", "a 2.0: CVE-2, mended in no version"]
    assert (known, number) == (2, 2)


def test_the_pins_suit_the_oldest_python():
    """A pinned version that asks for a later Python than the package does cannot be installed there."""
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
