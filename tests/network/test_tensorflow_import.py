"""The import of TensorFlow without the packages that nothing needs."""

import os
import subprocess
import sys
import threading

import pytest

from gradcam_cli.network import tensorflow_import

MODULES = """
import sys, threading
{before}
before = set(sys.modules)
from gradcam_cli.network.tensorflow_import import OPTIONAL_PACKAGES, import_tensorflow
import_tensorflow()
print("imported:", *sorted(OPTIONAL_PACKAGES & set(sys.modules) - before))
import keras, pandas, sklearn.base
print("afterwards:", pandas.is_fake, sklearn.base.BaseEstimator.__name__)
import gc
print("collected:", gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


@pytest.fixture(scope="module")
def fake_packages(tmp_path_factory):
    """Return a directory with importable modules of optional names."""
    directory = tmp_path_factory.mktemp("packages")
    for name in ("pandas", "sklearn", "matplotlib", "cv2", "huggingface_hub"):
        (directory / name).mkdir()
        (directory / name / "__init__.py").write_text("is_fake = True\nclass Series: pass\nclass DataFrame: pass\n")
    classes = "class BaseEstimator: pass\nclass ClassifierMixin: pass\n"
    classes += "class RegressorMixin: pass\nclass TransformerMixin: pass\n"
    (directory / "sklearn" / "base.py").write_text(classes)
    for name in ("pyplot", "patches"):
        (directory / "matplotlib" / f"{name}.py").write_text("")
    return directory


def run(code, packages):
    path = os.pathsep.join([str(packages), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_no_optional_package_is_imported_with_tensorflow(fake_packages):
    """They can be imported afterwards. Cycles are collected again, but the million objects of the import are not."""
    lines = run(MODULES.format(before=""), fake_packages)
    assert lines == ["imported:", "afterwards: True BaseEstimator", "collected: True True"]


@pytest.mark.slow
def test_tensorflow_alone_imports_them(fake_packages):
    """The test above would fail without the finder, and a package of this list that Keras no longer imports fails."""
    code = "import sys, tensorflow, keras; print(*sys.modules)"
    expected = {"pandas", "sklearn", "matplotlib.pyplot", "matplotlib.patches"}
    assert expected <= set(run(code, fake_packages)[0].split())


@pytest.mark.slow
def test_packages_that_are_imported_already_stay(fake_packages):
    lines = run(MODULES.format(before="import pandas, sklearn.base"), fake_packages)
    assert lines[1] == "afterwards: True BaseEstimator"


def test_other_threads_find_hidden_modules(tmp_path, monkeypatch):
    """A thread that reads an image may import anything meanwhile."""
    (tmp_path / "hidden_module.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = []

    def import_it():
        import hidden_module

        found.append(hidden_module.value)

    with tensorflow_import._hidden(frozenset({"hidden_module"})):
        with pytest.raises(ModuleNotFoundError, match="hidden_module"):
            import_it()
        thread = threading.Thread(target=import_it)
        thread.start()
        thread.join()
    assert found == [3]
    sys.modules.pop("hidden_module")


def test_a_missing_tensorflow_restores_imports(monkeypatch):
    """The finder is removed, and collection is enabled, if the import fails."""
    import gc

    finders = list(sys.meta_path)
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # restored after the test
    monkeypatch.delitem(sys.modules, "tensorflow")
    monkeypatch.setattr(tensorflow_import.importlib, "import_module", lambda name: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tensorflow_import.import_tensorflow()
    assert sys.meta_path == finders
    assert gc.isenabled()
