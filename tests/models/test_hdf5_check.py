"""The check of HDF5 data: in place, in proportion to the file, without following links to other files."""

import faulthandler
import io
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile

import h5py
import keras
import numpy as np
import pytest
from click.testing import CliRunner
from malformed_models import rewritten
from small_models import small_network

from gradcam_cli.cli import gradcam
from gradcam_cli.errors import ModelError, WeightsError
from gradcam_cli.models import hdf5_scan, safety, scan_process
from gradcam_cli.models.classifier import load_model
from gradcam_cli.models.model_files import load_model_file
from gradcam_cli.models.zip_member import FileWindow

LIMIT = 1 << 40


@pytest.fixture(scope="module")
def valid(tmp_path_factory):
    folder = tmp_path_factory.mktemp("valid")
    for suffix in (".keras", ".h5", ".weights.h5"):
        (small_network().save if "weights" not in suffix else small_network().save_weights)(folder / f"small{suffix}")
    return {path.name.removeprefix("small"): path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def model(valid, tmp_path):
    (tmp_path / "small.keras").write_bytes(valid[".keras"])
    return tmp_path / "small.keras"


def add_external_link(file, fifo):
    file["layers/more"] = h5py.ExternalLink(fifo, "/x")


def add_link_in_place_of_a_group(file, fifo):
    del file["layers"]
    file["layers"] = h5py.ExternalLink(fifo, "/layers")


def add_external_array(file, fifo):
    file.create_dataset("layers/more", (10,), "f4", external=[(fifo, 0, 40)])


def add_virtual_array(file, fifo):
    layout = h5py.VirtualLayout((10,), "f4")
    layout[:] = h5py.VirtualSource(fifo, "a", (10,))
    file.create_virtual_dataset("layers/more", layout)


def add_objects(file, fifo):
    file["layers/more"] = ["text"] * 3


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
@pytest.mark.parametrize(
    "change",
    [add_external_link, add_link_in_place_of_a_group, add_external_array, add_virtual_array, add_objects],
)
def test_links_to_other_files_are_refused_before_they_are_followed(valid, model, tmp_path, suffix, change):
    """A pipe that nobody writes to would block whoever opens it; status 3 for models and for weights."""
    os.mkfifo(tmp_path / "fifo")
    buffer = io.BytesIO(valid[".weights.h5"])
    if suffix == ".h5":
        buffer = io.BytesIO(valid[".h5"])
    with h5py.File(buffer, "a") as file:
        file.require_group("layers")
        change(file, str(tmp_path / "fifo"))
    data = buffer.getvalue()
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(data if suffix != ".keras" else rewritten(valid[".keras"], **{"model.weights.h5": data}))
    if suffix != ".weights.h5":
        result = CliRunner().invoke(gradcam, ["layers", str(path)])
        assert (result.exit_code, "expected the weights in the file, got a" in result.stderr) == (3, True)
    for name in (model, "mobilenetv2"):
        with pytest.raises(WeightsError, match="expected the weights in the file, got a"):
            load_model(name, weights=str(path), preprocess="none")


def test_a_file_that_is_both_hdf5_and_zip_is_checked_as_keras_reads_it(valid, tmp_path):
    """The first bytes decide: the array of an HDF5 file counts, although a harmless archive is appended to it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": []}})
        file.create_dataset("model_weights/a", (1 << 38,), "f4", chunks=(1 << 20,), fillvalue=1)
    for name in ("bomb.h5", "bomb.keras"):
        (tmp_path / name).write_bytes(buffer.getvalue() + valid[".keras"])
        with pytest.raises(ModelError, match=r"decompressed bytes, got 1,099,511,627,776"):
            load_model_file(tmp_path / name, allow_unsafe=False)
    (tmp_path / "zip.h5").write_bytes(valid[".keras"] + buffer.getvalue()[:4096])
    assert load_model_file(tmp_path / "zip.h5", allow_unsafe=False).name == "small"


def test_npz_weights_in_an_archive_are_refused(valid, tmp_path):
    """An archive within the archive can be compressed twice: 100 KB for 10 GB."""
    inner = io.BytesIO()
    np.savez_compressed(inner, a=np.zeros(1 << 24, np.float32))
    data = rewritten(valid[".keras"], **{"model.weights.h5": None, "model.weights.npz": inner.getvalue()})
    (tmp_path / "m.keras").write_bytes(data)
    for allow_unsafe in (False, True):
        with pytest.raises(ModelError, match=r"model\.weights\.h5 is missing"):
            load_model_file(tmp_path / "m.keras", allow_unsafe)


def test_a_weight_file_for_mini_has_a_limited_size(tmp_path):
    np.savez_compressed(tmp_path / "w.npz", a=np.zeros(1 << 25, np.float32))
    with pytest.raises(WeightsError, match=r"expected at most 67,108,864 decompressed bytes, got 134,217,8"):
        load_model("mini", weights=str(tmp_path / "w.npz"))


@pytest.mark.parametrize("name", ["w.weights.json", "w.npz", "w.txt"])
def test_weight_files_of_other_types_are_refused(model, tmp_path, name):
    """A sharded weight file names other files, which Keras would open."""
    (tmp_path / name).write_text(json.dumps({"metadata": {}, "weight_map": {"/vars": "/etc/passwd"}}))
    with pytest.raises(WeightsError, match=r"expected a \.h5 or \.keras file"):
        load_model(model, weights=str(tmp_path / name), preprocess="none")


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_weights_of_an_archive_are_read(model, tmp_path, compression):
    """Stored and compressed members, for --model and for --weights."""
    other = small_network()
    other.layers[-1].bias.assign([1, 2, 3])
    other.save(tmp_path / "other.keras")
    path = tmp_path / "packed.keras"
    with zipfile.ZipFile(tmp_path / "other.keras") as source, zipfile.ZipFile(path, "w", compression) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    assert hdf5_scan.scan(str(path), LIMIT)["bytes"] == 4 * other.count_params()
    for model_name, weights in ((path, None), (model, str(path))):
        bias = load_model(model_name, weights=weights, preprocess="none").model.layers[-1].bias
        np.testing.assert_array_equal(bias, [1, 2, 3])


def test_file_window_equals_a_file_of_its_bytes():
    """Random seeks and reads, past both ends too."""
    rng = random.Random(0)
    data = rng.randbytes(500)
    window, expected = FileWindow(io.BytesIO(b"x" * 77 + data + b"y" * 99), 77, 500), io.BytesIO(data)
    for _ in range(500):
        offset, size = rng.randrange(600), rng.randrange(300)
        assert window.seek(offset) == expected.seek(offset)
        assert window.read(size) == expected.read(size)
        assert window.tell() == expected.tell()
    assert window.seek(0, os.SEEK_END) == 500


def test_the_cpu_time_grows_with_the_work(tmp_path, monkeypatch):
    """A file of 5,000 arrays needs less than a tenth of the time that it is granted; no timer can end this process."""
    timers = []
    monkeypatch.setattr(signal, "setitimer", lambda *arguments: timers.append(arguments))
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *arguments, **options: timers.append(arguments))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        for number in range(5000):
            file[f"layers/{number}/vars/0"] = np.ones(2, np.float32)
    start = time.process_time()
    assert hdf5_scan.declared_bytes(str(tmp_path / "m.h5"), LIMIT)[0] == 40_000
    used = time.process_time() - start
    assert not timers
    assert used < (hdf5_scan.STEP_SECONDS + 15_000 * hdf5_scan.SECONDS_PER_OBJECT) / 10


@pytest.mark.parametrize("code", ["while True: pass", "budget = scan.Budget(); budget.seconds -= 99; budget.add()"])
def test_a_scan_that_takes_too_long_says_so(model, monkeypatch, tmp_path, code):
    """The system ends a step that never returns; the message does not claim that the library crashes."""
    program = tmp_path / "scan.py"
    program.write_text(
        f"import sys; sys.path.insert(0, {str(scan_process.SCAN_PROGRAM.parent)!r}); import hdf5_scan as scan, json\n"
        f"def slow(*_):\n    {code}\n"
        "scan.STEP_SECONDS, scan.declared_bytes = 0.2, slow\nprint(json.dumps(scan.main(sys.argv[1], 1 << 40)))\n"
    )
    monkeypatch.setattr(scan_process, "SCAN_PROGRAM", program)
    with pytest.raises(ModelError, match=r"small\.keras: the check of its HDF5 data took too long for its size"):
        load_model_file(model, allow_unsafe=False)


def test_a_crash_of_the_hdf5_library_is_one_line(model, monkeypatch, tmp_path):
    (tmp_path / "scan.py").write_text("import os; os.abort()")
    monkeypatch.setattr(scan_process, "SCAN_PROGRAM", tmp_path / "scan.py")
    with pytest.raises(ModelError, match=r"is damaged or not an HDF5 file: the HDF5 library crashes"):
        load_model_file(model, allow_unsafe=False)


def test_the_command_line_starts_the_check_early(model, monkeypatch):
    """The check runs while TensorFlow is imported, and only once."""
    started = []
    original = subprocess.Popen

    def popen(command, *args, **kwargs):
        started.append(command)
        return original(command, *args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", popen)
    result = CliRunner().invoke(gradcam, ["layers", str(model)])
    assert result.exit_code == 0, result.output
    checks = [command for command in started if "hdf5_scan" in str(command)]
    assert [command[:2] for command in checks] == [[sys.executable, "-P"]]
    assert not [key for key in safety._started if key[0] == str(model)]


def test_a_failed_check_leaves_no_process(valid, tmp_path, monkeypatch):
    """The configuration is refused before the scan ends; its process is stopped."""
    processes = []
    original = subprocess.Popen

    def popen(*args, **options):
        processes.append(original(*args, **options))
        return processes[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    (tmp_path / "m.keras").write_bytes(rewritten(valid[".keras"], **{"config.json": "7"}))
    with pytest.raises(ModelError, match="does not describe a model"):
        load_model_file(tmp_path / "m.keras", allow_unsafe=False)
    assert [process.poll() is not None for process in processes] == [True]


@pytest.mark.extended
def test_all_keras_applications_open(tmp_path):
    """Each classifier of `keras.applications`, saved as `.keras` with random weights."""
    names = [name for name, item in vars(keras.applications).items() if callable(item)]
    assert len(names) > 35
    for name in names:
        path = tmp_path / f"{name}.keras"
        model = getattr(keras.applications, name)(weights=None)
        model.save(path)
        opened = load_model_file(path, allow_unsafe=False)
        assert [layer.name for layer in opened.layers] == [layer.name for layer in model.layers]
        np.testing.assert_array_equal(opened.weights[-1], model.weights[-1])
        path.unlink()
        del model, opened
        keras.backend.clear_session()
