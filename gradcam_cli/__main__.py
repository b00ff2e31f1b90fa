"""Entry point of `gradcam` and `python -m gradcam_cli`."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn


def main() -> None:
    """Run the command line; SIGTERM exits with status 143."""
    # NumPy's matrix products are small here. Its idle threads would spin on the cores that the network needs and
    # take a quarter of the run time. NumPy reads this variable when it is first imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["MPLBACKEND"] = "agg"  # that of a notebook may not be installed here; figures are only written to files
    if os.path.expanduser("~") == "~":  # no home directory: TensorFlow would create a directory of this name
        os.environ["HOME"] = os.devnull
    from gradcam_cli.cli import gradcam, report_error
    from gradcam_cli.cli.signals import install_signal_handlers
    from gradcam_cli.cli.streams import prepare_streams
    from gradcam_cli.errors import OutputError

    install_signal_handlers()
    try:
        prepare_streams()
    except OutputError as error:
        sys.exit(report_error(error))
    try:
        gradcam.main()
    except SystemExit as end:
        if isinstance(end.code, int):
            _exit_without_teardown(end.code)
        raise


def _exit_without_teardown(status: int) -> NoReturn:
    """End the process as Python does, but without deleting all objects, which takes half a second with TensorFlow.

    Threads are waited for, functions of `atexit` are called (those of coverage, Ray and multiprocessing, too), and
    streams are flushed, also those that `prepare_streams` replaced; failed writes of results were reported before.
    """
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.__stdout__, sys.__stderr__, sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()  # type: ignore[union-attr]  # None if it is closed
    os._exit(status)


def _remove_working_directory() -> None:
    """Remove the working directory, which `python -m` inserts first in `sys.path`: images may lie next to a `PIL.py`.

    It stays if it contains this package, as in a source checkout.
    """
    directory = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if not sys.flags.safe_path and sys.path[0] != directory:
        del sys.path[0]


if __name__ == "__main__":
    _remove_working_directory()
    main()
