"""Requests to a store that fail: retries and error messages."""

import pytest
from directory_tree import fill

from gradcam_cli.errors import InputError, OutputError
from gradcam_cli.images.source import Source
from gradcam_cli.storage import files, remote
from gradcam_cli.storage.files import write_output
from gradcam_cli.storage.paths import as_path

pytest.importorskip("fsspec", reason="URLs need fsspec")
pytest.importorskip("upath", reason="URLs need universal-pathlib")

pytestmark = pytest.mark.usefixtures("recorded_delays")


class Store:
    """Raises the given errors, one per call, then returns."""

    def __init__(self, *errors):
        self.errors, self.calls = list(errors), 0

    def __call__(self, *arguments):
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return b"answer"


class RefusedError(Exception):
    status = 403


class BusyError(Exception):
    status = 429


def test_transient_errors_are_retried(recorded_delays):
    store = Store(ConnectionError("reset"), BusyError())
    assert remote.with_retries(store) == b"answer"
    assert recorded_delays == [0.5, 1.0]


def test_at_most_three_attempts(recorded_delays):
    store = Store(*[ConnectionError(f"reset {number}") for number in range(9)])
    with pytest.raises(ConnectionError, match="reset 2"):
        remote.with_retries(store)
    assert store.calls == 3


NoCredentialsError = type("NoCredentialsError", (Exception,), {})


@pytest.mark.parametrize(
    "error", [FileNotFoundError(), PermissionError(), ValueError(), RefusedError(), NoCredentialsError()]
)
def test_permanent_errors_are_not_retried(error, recorded_delays):
    store = Store(error)
    with pytest.raises(type(error)):
        remote.with_retries(store)
    assert (store.calls, recorded_delays) == (1, [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (FileNotFoundError("b/x.jpg"), "No such file"),
        (PermissionError("Access Denied"), "Access Denied"),
        (RefusedError("403, message='Forbidden'\nand more"), "403, message='Forbidden'$"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_read_error_has_one_line(memory_store, monkeypatch, error, reason):
    fill(memory_store, "b/x.jpg")
    monkeypatch.setattr(type(memory_store), "cat_file", lambda self, path, **how: Store(error, error, error)())
    with pytest.raises(InputError, match=f"cannot be read: {reason}"):
        Source("memory://b/x.jpg").read()


def test_reads_and_writes_are_retried(memory_store, monkeypatch):
    """A read and a write succeed if the first request of each fails."""
    for name in ("cat_file", "pipe_file"):
        failing = Store(ConnectionError())
        original = getattr(type(memory_store), name)

        def fail_once(self, *arguments, original=original, failing=failing, **options):
            failing()
            return original(self, *arguments, **options)

        monkeypatch.setattr(type(memory_store), name, fail_once)
    write_output(as_path("memory://b/x.bin"), b"data")
    assert Source("memory://b/x.bin").read() == b"data"


def test_unreachable_file_does_not_exist(memory_store, monkeypatch):
    fill(memory_store, "b/x.png")
    assert files.exists(as_path("memory://b/x.png"))
    assert not files.exists(as_path("memory://b/y.png"))
    monkeypatch.setattr(type(memory_store), "info", lambda self, path, **how: Store(*[OSError()] * 3)())
    assert not files.exists(as_path("memory://b/x.png"))


def test_write_error_has_path_and_reason(memory_store, monkeypatch):
    monkeypatch.setattr(
        type(memory_store), "pipe_file", lambda self, *more, **how: Store(PermissionError("read-only"))()
    )
    with pytest.raises(OutputError, match="memory://b/x cannot be written: read-only"):
        write_output(as_path("memory://b/x"), b"")
