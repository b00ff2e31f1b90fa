"""Python files next to the images are not imported, neither by the command nor by the workers of Ray."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gradcam_cli
from gradcam_cli.engines import ray_cluster

MODULES = ("PIL", "numpy", "pandas", "pyarrow", "ray", "json", "click", "keras", "sitecustomize", "usercustomize")


@pytest.fixture
def images(photo, tmp_path):
    """A folder with an image and with modules that leave a file `imported-NAME` when they are imported."""
    photo("images/photo.png")
    for name in MODULES:
        plant(tmp_path / "images" / f"{name}.py")
    return tmp_path / "images"


def plant(path):
    path.parent.mkdir(exist_ok=True)
    mark = path.parent.parent / f"imported-{path.stem}"
    path.write_text(f"open({str(mark)!r}, 'w').close()\nraise ImportError('planted')\n")


def run_in(folder, *arguments, timeout=60):
    environment = {**os.environ, "PYTHONPATH": str(Path(gradcam_cli.__file__).parent.parent)}
    command = [sys.executable, *arguments, ".", "--model", "mini", "-o", "out"]
    return subprocess.run(command, cwd=folder, env=environment, timeout=timeout, capture_output=True, text=True)


def imported(folder):
    return [path.name for path in (*folder.parent.glob("imported-*"), *folder.glob("imported-*"))]


def test_python_m_imports_nothing_from_the_working_directory(images):
    result = run_in(images, "-m", "gradcam_cli")
    assert (result.returncode, imported(images)) == (0, []), result.stderr
    assert (images / "out/photo_gradcam.png").exists()


def test_safe_path_ignores_a_package_in_the_working_directory(images):
    """`python -P -m gradcam_cli` finds the installed package, as the command `gradcam` does."""
    plant(images / "gradcam_cli/__init__.py")
    result = run_in(images, "-P", "-m", "gradcam_cli")
    assert (result.returncode, imported(images)) == (0, []), result.stderr


@pytest.mark.extended
@pytest.mark.slow
def test_ray_workers_import_nothing_from_the_working_directory(images):
    """A local cluster: neither its processes nor its workers import a planted module."""
    pytest.importorskip("ray", reason="the extra gradcam-cli[ray] is not installed")
    plant(images / "gradcam_cli/__init__.py")
    result = run_in(images, "-P", "-m", "gradcam_cli", "--engine", "ray", timeout=120)
    assert (result.returncode, imported(images)) == (0, []), result.stderr
    assert (images / "out/photo_gradcam.png").exists()


def test_ray_starts_in_an_empty_directory(images, monkeypatch):
    """The directory that Ray inserts into the import path is empty and private; afterwards it is deleted."""
    ray = pytest.importorskip("ray", reason="the extra gradcam-cli[ray] is not installed")
    started = []

    def init(**options):
        started.append((Path.cwd(), list(Path.cwd().iterdir()), Path.cwd().stat().st_mode & 0o777))

    monkeypatch.chdir(images)
    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2})
    with ray_cluster.connected(ray_cluster.RayConfig()):
        assert Path.cwd() == images
    ((directory, entries, mode),) = started
    assert (entries, mode, directory.exists()) == ([], 0o700, False)


def test_ray_that_cannot_start_is_one_line(images, monkeypatch):
    ray = pytest.importorskip("ray", reason="the extra gradcam-cli[ray] is not installed")

    def init(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(images)
    monkeypatch.setattr(ray, "init", init)
    with (
        pytest.raises(ray_cluster.UsageError, match=r"--engine ray: cannot start Ray: .*No space left"),
        ray_cluster.connected(ray_cluster.RayConfig()),
    ):
        pass
    assert Path.cwd() == images
