"""Files in a directory, and in a store in memory."""

from pathlib import Path


def files(directory):
    """Return the relative paths of all files in a directory, sorted."""
    return sorted(str(path.relative_to(directory)) for path in Path(directory).rglob("*") if path.is_file())


def fill(memory_store, *names):
    """Write files of one byte to a memory store."""
    for name in names:
        memory_store.pipe_file(f"/{name}", b"x")
