"""Fixtures of the storage tests: a store in memory, and retries without delays."""

import pytest

from gradcam_cli.storage import remote


@pytest.fixture
def recorded_delays(monkeypatch):
    """Record the delays of retries instead of sleeping."""
    delays = []
    monkeypatch.setattr(remote.time, "sleep", delays.append)
    return delays


@pytest.fixture
def memory_store():
    """An empty memory file system."""
    fsspec = pytest.importorskip("fsspec", reason="URLs need fsspec")
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pseudo_dirs[:] = [""]
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]
