"""The process that scans the HDF5 data of a file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, NoReturn, Protocol

SCAN_PROGRAM = Path(__file__).with_name("hdf5_scan.py")
PACKAGE_ROOT = Path(__file__).parents[2]


class ScanProcess(Protocol):
    """A process that prints the result of a scan.

    Attributes:
        returncode: of `subprocess.Popen`, after `communicate`.
    """

    returncode: int | None

    def communicate(self) -> tuple[bytes, Any]:
        """Wait for the end of the process, and return what it printed."""

    def kill(self) -> None:
        """Kill the process, if it still runs."""


def start_scan(file: Path, max_bytes: int) -> ScanProcess:
    """Start `hdf5_scan.main` in another process.

    On Linux, a process without other threads is forked: the command line imports h5py anyway, and a second Python takes
    0.15 s to do the same. A fork of other threads' locks could wait for them forever, so a new Python is started then,
    and after the import of TensorFlow, whose libraries have locks of their own.

    Args:
        file: the file.
        max_bytes: the scan stops above this size.

    Raises:
        OSError: no process can be started.
    """
    if sys.platform == "linux" and "tensorflow" not in sys.modules:
        import gradcam_cli.models.hdf5_scan  # noqa: F401  # it may start threads

        if len(os.listdir("/proc/self/task")) == 1:
            return ForkedScan(file, max_bytes)
    path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(  # noqa: S603  # no shell
        [sys.executable, "-P", str(SCAN_PROGRAM), str(file.absolute()), str(max_bytes)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": path},
    )


class ForkedScan:
    """A scan in a copy of this process; see `ScanProcess`."""

    def __init__(self, file: Path, max_bytes: int) -> None:
        self.returncode: int | None = None
        read_end, write_end = os.pipe()
        self._id = os.fork()
        if not self._id:
            _scan_and_exit(file, max_bytes, write_end)
        os.close(write_end)
        self._output = os.fdopen(read_end, "rb")

    def communicate(self) -> tuple[bytes, None]:
        """Wait for the end of the process, and return what it printed."""
        with self._output:
            output = self._output.read()
        self.returncode = os.waitstatus_to_exitcode(os.waitpid(self._id, 0)[1])
        return output, None

    def kill(self) -> None:
        """Kill the process, if it still runs."""
        os.kill(self._id, signal.SIGKILL)


def _scan_and_exit(file: Path, max_bytes: int, write_end: int) -> NoReturn:
    """Scan in the forked process, which has no streams, and leave nothing of the copied process to run."""
    with contextlib.suppress(BaseException):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        from gradcam_cli.models import hdf5_scan

        with os.fdopen(write_end, "wb") as output:
            output.write(json.dumps(hdf5_scan.main(str(file), max_bytes)).encode())
    os._exit(0)
