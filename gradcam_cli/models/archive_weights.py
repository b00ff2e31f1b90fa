"""The weights in a `.keras` archive, which are read where they are."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import h5py
from keras.src.saving import saving_lib

from gradcam_cli.errors import ModelError
from gradcam_cli.models.opening import patched
from gradcam_cli.models.safety import WEIGHTS_NAME, is_archive, open_archive
from gradcam_cli.models.zip_member import FileWindow, stored_member


@contextlib.contextmanager
def weights_in_place() -> Iterator[None]:
    """Let Keras read the weights of a `.keras` archive from its file in the block.

    Keras reads the whole HDF5 file into memory, and copies the arrays from there.
    """

    def open_hdf5(open_original: Callable[..., h5py.File]) -> Callable[..., h5py.File]:
        def call(store: Any, path: Any, mode: str | None = None) -> h5py.File:
            if not store.archive:
                return open_original(store, path, mode)
            store.io_file = _open_weights(store.archive)
            return h5py.File(store.io_file, "r")

        return call

    with (
        patched(saving_lib, "is_memory_sufficient", lambda _: _read_from_archive),
        patched(saving_lib.H5IOStore, "_get_h5_file", open_hdf5),
    ):
        yield


def _read_from_archive(model: Any) -> bool:
    """Make Keras read the weights from the archive, as it does when it cannot read them into memory."""
    raise MemoryError


def weights_place(store: Any) -> tuple[str | None, int]:
    """Return the archive from which Keras reads weights, and their offset in it; None and 0 if they are in no archive.

    Args:
        store: `H5IOStore` of Keras.
    """
    window = getattr(store.io_file, "raw", None)
    return (store.archive.filename, window.start) if isinstance(window, FileWindow) else (None, 0)


@contextlib.contextmanager
def open_hdf5(file: Path) -> Iterator[h5py.File]:
    """Open an HDF5 file, or the weights in a `.keras` archive."""
    with contextlib.ExitStack() as stack:
        opened: Any = file
        if is_archive(file):
            opened = stack.enter_context(_open_weights(stack.enter_context(open_archive(file))))
        yield stack.enter_context(h5py.File(opened, "r"))


def _open_weights(archive: zipfile.ZipFile) -> IO[bytes]:
    """Open the weights in an archive so that seeking is fast: where they are, or extracted if they are compressed.

    Raises:
        ModelError: the compressed weights are damaged.
    """
    if member := stored_member(archive, WEIGHTS_NAME):
        file: Any = archive.fp
        return io.BufferedReader(FileWindow(file, member.start, member.size), 1 << 14)
    extracted = tempfile.TemporaryFile()  # noqa: SIM115  # Keras closes it
    try:
        with archive.open(WEIGHTS_NAME) as source:
            shutil.copyfileobj(source, extracted, 1 << 20)
    except Exception as error:  # zipfile raises many types for damaged members
        raise ModelError(f"{archive.filename} is damaged: cannot read {WEIGHTS_NAME}: {error}") from error
    extracted.seek(0)
    return extracted
