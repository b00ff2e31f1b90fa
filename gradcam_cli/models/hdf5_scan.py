"""Add up what the arrays of a model file claim: a program of its own, for the HDF5 library trusts what it reads.

A damaged file makes it wait for ever, or end the process; `claims` starts this one to find that out.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zipfile
from typing import IO

import h5py

WEIGHTS = "model.weights.h5"
ROOM = 1 << 28
"""Bytes that reading may take beside four times the file's own."""


def claimed(content: str | IO[bytes], most: int) -> int:
    """Return how many bytes the arrays claim, after reading all attributes, and the arrays that are kept in pieces.

    Args:
        content: an HDF5 file; the rest of one that cannot be read is left to Keras to name.
        most: bytes after which nothing more is read.
    """
    total = 0

    def visit(_: str, item: h5py.Group | h5py.Dataset) -> bool | None:
        nonlocal total
        for name in item.attrs:
            item.attrs[name]
        if isinstance(item, h5py.Dataset):
            total += item.nbytes
            if item.chunks and total <= most:
                item[()]
        return True if total > most else None

    try:
        with h5py.File(content, "r") as opened:
            visit("/", opened)
            opened.visititems(visit)
    except Exception as error:
        if isinstance(error, MemoryError) or "alloc" in str(error):
            raise
    return total


def limit_memory(more: int) -> None:
    """Let this process have so many bytes more than it has, where the system can tell and hold it to that."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        with open("/proc/self/statm") as statistics:
            now = int(statistics.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + more, now + more))


def main(file: str, most: int) -> None:
    """Print the bytes that a `.keras` or `.h5` file claims."""
    limit_memory(ROOM + 4 * os.path.getsize(file))
    total = 0
    if zipfile.is_zipfile(file):
        with (
            contextlib.suppress(KeyError, RuntimeError, zipfile.BadZipFile),
            zipfile.ZipFile(file) as archive,
            archive.open(WEIGHTS) as weights,
        ):
            total = claimed(weights, most)
    else:
        total = claimed(file, most)
    print(total)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
