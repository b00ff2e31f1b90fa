"""The process that scans HDF5 data: a fork of a process without threads, or a new Python."""

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from gradcam_cli.models import scan_process
from gradcam_cli.models.scan_process import ForkedScan, start_scan

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # Python 3.12, of this process
linux = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux, the scan is forked")

STARTED = """
import sys, threading, os
from pathlib import Path
os.environ["OPENBLAS_NUM_THREADS"] = "1"
from gradcam_cli.models.safety import Hdf5Check, start_check
from gradcam_cli.models import hdf5_scan
{before}
check = Hdf5Check(Path(sys.argv[1]))
kind = type(check._process).__name__
try:
    print(kind, check.finish())
except Exception as error:
    print(kind, error)
"""
THREAD = "stop = threading.Event(); thread = threading.Thread(target=stop.wait, daemon=True); thread.start()"


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "net.h5", "w") as content:
        content["a"] = np.ones((200, 100), np.float32)
        content.attrs["model_config"] = "text"
    return tmp_path / "net.h5"


def run(file, before):
    done = subprocess.run(
        [sys.executable, "-c", STARTED.format(before=before), str(file)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    return done.stdout.strip()


@linux
@pytest.mark.parametrize(
    ("before", "kind"), [("", "ForkedScan"), (THREAD, "Popen"), ("sys.modules['tensorflow'] = None", "Popen")]
)
def test_only_a_process_without_threads_is_forked(file, before, kind):
    """A lock that another thread holds would never be released in the forked process."""
    assert run(file, before) == f"{kind} text"


@linux
@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("os.abort()", "the HDF5 library crashes"),
        ("os.kill(os.getpid(), 11)", "the HDF5 library crashes"),
        ("[bytes(1 << 29) for _ in range(9)]", "requires more memory than its arrays"),
        ("exec('while True: pass')", "took too long for its size"),
    ],
)
def test_a_forked_scan_protects_this_process(file, code, message):
    """Crashes, too much memory, and endless loops end the forked process only, without a word on standard error."""
    before = f"hdf5_scan.STEP_SECONDS = 0.2\ndef scan(*_): {code}\nhdf5_scan.scan = scan"
    line = run(file, before)
    assert line.startswith("ForkedScan")
    assert message in line


@linux
def test_a_forked_scan_that_is_stopped_leaves_no_process(file, monkeypatch):
    monkeypatch.setattr("gradcam_cli.models.hdf5_scan.main", lambda *_: [None for _ in iter(int, 1)])
    scan = ForkedScan(file, 1 << 40)
    scan.kill()
    assert scan.communicate() == (b"", None)
    assert scan.returncode == -9
    with pytest.raises(ChildProcessError):
        os.waitpid(scan._id, os.WNOHANG)


def test_both_kinds_have_the_same_result(file, monkeypatch):
    monkeypatch.setattr(scan_process.sys, "platform", "other")
    output, _ = start_scan(file, 1 << 40).communicate()
    assert json.loads(output)["bytes"] == 80_000
    if hasattr(os, "fork"):
        assert ForkedScan(file, 1 << 40).communicate()[0].strip() == output.strip()
